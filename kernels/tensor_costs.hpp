// What every candidate costs the tensor block of every tensor under an objective, and with which scale: one
// launch for all of them, from what kernels/key_arrays.hpp laid out.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "afp/objective.hpp"
#include "kernels/key_arrays.hpp"

namespace afp::kernels {

// One tensor in device memory. Under mse facts.absmax and facts.slots are all that is read of the facts, and
// keys.prefix, points and shares are not read. What is of F32 alone is not read of other types.
struct CostTensor {
  KeyArrays keys;
  const double* points;  // MagnitudeShares; of kl with kBinCentre, of kl-seed with kSeedCoordinate
  const double* shares;
  std::uint32_t bins;  // 0 for a tensor of zeros
};

// tensor_block_costs of afp/tensor_costs.hpp, bit for bit. A candidate that F32 weights have no cost for
// (ue4m3) costs infinity.
struct TensorCosts {
  DType dtype;  // of all tensors
  Objective objective;
  const CostTensor* tensors;     // in device memory
  const BlockCodec* candidates;  // in device memory; tensor_scale is not looked at
  std::uint32_t tensor_count;
  std::uint32_t candidate_count;
  double* costs;        // [tensor][candidate]
  TensorScale* scales;  // [tensor][candidate]
};
cudaError_t tensor_costs(const TensorCosts& task, cudaStream_t stream);

// Backend::compare_shares: the divergence of distributions of levels from one of magnitudes.
struct CompareShares {
  const double* points;
  const double* shares;
  std::uint32_t bins;
  const double* levels;              // of all distributions, one after the other
  const double* level_shares;        // likewise
  const std::uint32_t* first_level;  // [distribution], and the end; each has 1 .. kMostLevels
  std::uint32_t count;               // of distributions
  double* divergences;               // [distribution]
};
cudaError_t compare_shares(const CompareShares& task, cudaStream_t stream);

}  // namespace afp::kernels
