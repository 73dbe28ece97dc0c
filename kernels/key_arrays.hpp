// From the Statistics of many tensors to what their candidates' costs are summed over
// (kernels/tensor_costs.hpp): keys, in the order of sums, and distributions of magnitudes.
//
// What the host must know on the way are the KeyFacts: under kl and kl-seed a tensor's histogram has a number
// of bins that follows from them. (And under kl-seed, of F32 tensors whose limit is below absmax, the number
// of weights within the limit: see count_within.) Under mse it need not ask.
//
//     lay_out_keys -> KeyFacts -> key_histogram or linear_histogram -> magnitude_shares -> tensor_costs
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "afp/statistics.hpp"
#include "afp/tensor.hpp"
#include "kernels/extent.hpp"
#include "kernels/linear_histogram.hpp"
#include "kernels/statistics.hpp"

namespace afp::kernels {

// Keys of finite weights, whole groups of kSumLanes.
inline constexpr std::uint32_t finite_keys_of(DType dtype) {
  return dtype == DType::BF16 ? 0x7F80u : dtype == DType::F16 ? 0x7C00u : 0xFF00u;
}

// What is known of a tensor as a whole. Of the extent it was laid out with come the limit, and the smallest
// magnitude of F32 weights, which keys do not tell.
struct KeyFacts {
  float absmax = 0.0f;
  float limit = 0.0f;  // of the histogram: the largest weight under kl-seed, if it is positive; else absmax
  float smallest = 0.0f;  // the smallest magnitude; without an extent, of F32 weights, its key's base
  std::uint32_t slots = 0;
  unsigned long long weights = 0;  // finite ones
  unsigned long long zeros = 0;
  unsigned long long nonfinite = 0;
  unsigned long long within = 0;  // weights with |w| <= limit; of F32 only where the limit is absmax
};

// One tensor's keys in device memory, with room for finite_keys_of(dtype) of them: slots as KeySlots
// describes them, prefix sums as CumulativeCounts does, from key 0 on.
struct KeyArrays {
  KeyFacts* facts = nullptr;
  float* base = nullptr;
  double* count_base = nullptr;
  double* count_inside = nullptr;  // of F32 alone, like the next two
  double* mean = nullptr;
  double* spread = nullptr;
  std::uint64_t* prefix = nullptr;   // and one more; of kl and kl-seed, else null
  std::uint64_t* on_base = nullptr;  // of kl and kl-seed of F32, else null
};

struct KeyTensor {
  StatisticsTables tables;
  const RawExtent* extent;  // of kl-seed, and of kl of F32; else null
  bool limit_is_largest;    // of kl-seed
  KeyArrays keys;
};
struct LayOutKeys {
  DType dtype;
  const KeyTensor* tensors;  // in device memory
  std::uint32_t count;       // of tensors
};
cudaError_t lay_out_keys(const LayOutKeys& task, cudaStream_t stream);

// Adds what 16-bit tables have counted to the histograms of their tensors, whose weights are not looked at.
struct KeyHistogramTensor {
  const unsigned long long* count;  // [key], of the tables
  HistogramTensor histogram;
};
struct KeyHistogram {
  DType dtype;  // BF16 or F16
  const KeyHistogramTensor* tensors;
  std::uint32_t count;
};
cudaError_t key_histogram(const KeyHistogram& task, cudaStream_t stream);

// MagnitudeShares of histograms.
struct ShareTensor {
  const float* edges;  // bins + 1 of them
  const unsigned long long* counts;
  std::uint32_t bins;
  double* points;
  double* shares;
};
struct MagnitudeSharesTask {
  const ShareTensor* tensors;
  std::uint32_t count;
  double coordinate;  // as bin_point() takes it
};
cudaError_t magnitude_shares(const MagnitudeSharesTask& task, cudaStream_t stream);

}  // namespace afp::kernels
