// The extent of weights: largest and smallest, zeros, non-finite values; and how many lie within a limit.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "afp/hd.hpp"
#include "afp/piece.hpp"
#include "afp/tensor.hpp"

namespace afp::kernels {

// The bits of a float32 (no NaN) as an integer that orders like it, and back.
AFP_HD constexpr std::int32_t ordered_of(std::uint32_t bits) {
  return static_cast<std::int32_t>(bits >> 31 != 0 ? bits ^ 0x7FFFFFFFu : bits);
}
AFP_HD constexpr std::uint32_t bits_of_ordered(std::int32_t ordered) {
  const auto bits = static_cast<std::uint32_t>(ordered);
  return ordered < 0 ? bits ^ 0x7FFFFFFFu : bits;
}

// An Extent while it is gathered, as integers: merging is a maximum, a minimum or a sum, in any order. Begins
// as here, as Extent does.
struct RawExtent {
  static constexpr std::uint32_t kInfinity = 0x7F800000u;

  std::uint32_t absmax = 0;                      // bits of the largest finite magnitude as float32
  std::uint32_t smallest_magnitude = kInfinity;  // likewise, of the smallest
  std::int32_t largest = ordered_of(0x80000000u | kInfinity);  // the largest finite weight, see ordered_of
  std::uint32_t padding = 0;
  unsigned long long zeros = 0;
  unsigned long long nonfinite = 0;
};

inline Extent extent_of(const RawExtent& raw) {
  Extent extent;
  extent.absmax = bits_float(raw.absmax);
  extent.zeros = raw.zeros;
  extent.nonfinite = raw.nonfinite;
  extent.largest = bits_float(bits_of_ordered(raw.largest));
  extent.smallest_magnitude = bits_float(raw.smallest_magnitude);
  return extent;
}

// `count` weights of the dtype (BF16, F16, F32), aligned to it. Adds to *result, a RawExtent to begin with.
struct ExtentTask {
  DType dtype;
  const std::byte* weights;
  std::uint64_t count;
  int multiprocessors;  // of the device
  RawExtent* result;
};
cudaError_t extent(const ExtentTask& task, cudaStream_t stream);

// From *extent the scale of a tensor under ue4m3 (ue4m3_tensor_scale), on the device.
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
