// Gathering the Statistics of many tensors in one launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "afp/tensor.hpp"
#include "kernels/work_list.hpp"

namespace afp::kernels {

// Keys of a table, those of non-finite weights included; see afp/statistics.hpp.
inline constexpr std::uint32_t kHalfKeys = 1u << 15;   // BF16, F16
inline constexpr std::uint32_t kFloatKeys = 1u << 16;  // F32
inline constexpr std::uint32_t keys_of(DType dtype) {
  return dtype == DType::F32 ? kFloatKeys : kHalfKeys;
}

// One tensor's tables in device memory. Weights are added to what they hold (zeros to begin with).
struct StatisticsTables {
  unsigned long long* count;       // [key] weights, zeros under key 0
  unsigned long long* count_base;  // of F32, [key]: those with r == 0
  unsigned long long* sum_r;       // of F32, [key]
  unsigned long long* sum_r2;      // of F32, [key]
  unsigned int* largest;           // of F32: bits of the largest finite magnitude
};

struct StatisticsTensor {
  const std::byte* weights;  // aligned to the dtype
  std::uint64_t count;
  StatisticsTables tables;
};

// All tensors have one dtype. Chunks are of kStatisticsChunk weights: small ones, so that blocks get equal
// shares; what a block flushes is a run of them.
inline constexpr std::uint64_t kStatisticsChunk = 1 << 15;
struct StatisticsTask {
  DType dtype;
  const StatisticsTensor* tensors;  // in device memory
  WorkList work;
  std::uint64_t chunks;  // of the work list
  int multiprocessors;   // of the device
};
cudaError_t statistics(const StatisticsTask& task, cudaStream_t stream);

// The launchers behind it.
cudaError_t statistics_bf16(const StatisticsTask& task, cudaStream_t stream);
cudaError_t statistics_f16(const StatisticsTask& task, cudaStream_t stream);
cudaError_t statistics_f32(const StatisticsTask& task, cudaStream_t stream);

}  // namespace afp::kernels
