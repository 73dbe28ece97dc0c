// The extent of weights: largest and smallest, zeros, non-finite values; and how many lie within a limit.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "afp/tensor.hpp"

namespace afp::kernels {

// An Extent while it is gathered, by integers that order like what they stand for: merging is a maximum, a
// minimum or a sum, in any order. What to begin with, and how to read it at the end, is in afp/piece.hpp's
// words.
struct RawExtent {
  std::uint32_t absmax = 0;                        // bits of the largest finite magnitude as float32
  std::uint32_t smallest_magnitude = 0xFFFFFFFFu;  // likewise, of the smallest
  std::int32_t largest = -0x7FFFFFFF - 1;  // the largest finite weight, as an integer that orders like it
  std::uint32_t padding = 0;
  unsigned long long zeros = 0;
  unsigned long long nonfinite = 0;
};

// `count` weights of the dtype (BF16, F16, F32), aligned to it. Adds to *result, which the caller has set up.
struct ExtentTask {
  DType dtype;
  const std::byte* weights;
  std::uint64_t count;
  int multiprocessors;  // of the device
  RawExtent* result;
};
cudaError_t extent(const ExtentTask& task, cudaStream_t stream);

// From *result the scale of a tensor under ue4m3 (ue4m3_tensor_scale), on the device.
struct TensorScaleTask {
  const RawExtent* extent;
  float smallest_max_value;  // of the Encoding's Formats
  float* tensor_scale;
};
cudaError_t tensor_scale(const TensorScaleTask& task, cudaStream_t stream);

// Adds the number of weights with |w| <= limit to *result.
struct CountWithin {
  DType dtype;
  const std::byte* weights;
  std::uint64_t count;
  float limit;  // finite, not negative
  int multiprocessors;
  unsigned long long* result;
};
cudaError_t count_within(const CountWithin& task, cudaStream_t stream);

}  // namespace afp::kernels
