// Counting magnitudes into equal bins, many tensors in one launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "afp/tensor.hpp"
#include "kernels/work_list.hpp"

namespace afp::kernels {

// One tensor's weights and its LinearHistogram, in device memory. Counts are added to what is there.
struct HistogramTensor {
  const std::byte* weights;  // aligned to the dtype
  std::uint64_t count;
  const float* edges;  // bins + 1 of them
  std::uint32_t bins;
  double per_bin;  // bins / limit, see linear_bin
  unsigned long long* counts;
};

inline constexpr std::uint64_t kHistogramChunk = 1 << 15;  // weights
struct HistogramTask {
  DType dtype;
  const HistogramTensor* tensors;  // in device memory
  WorkList work;
  std::uint64_t chunks;
  std::uint32_t most_bins;  // of any of the tensors
  int multiprocessors;
};
cudaError_t linear_histogram(const HistogramTask& task, cudaStream_t stream);

}  // namespace afp::kernels
