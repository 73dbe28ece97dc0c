// Objectives: what a candidate costs, computed from Statistics alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "afp/encoding.hpp"
#include "afp/statistics.hpp"

namespace afp {

enum class Objective : std::uint8_t {
  mse,      // squared error
  kl,       // divergence between the distributions of |w| before and after, for tensor blocks
  kl_seed,  // the same as the original AFP code computes it, quirks included
};
// "mse", "kl", "kl-seed"; throws UsageError for anything else.
Objective parse_objective(std::string_view text);
std::string_view to_string(Objective objective);

// What a candidate costs a tensor.
struct CandidateCost {
  double cost = 0.0;           // in the unit of the objective, for the whole tensor: costs of tensors add up
  double squared_error = 0.0;  // of quantizing with it; equal to `cost` under plain mse

  friend bool operator==(const CandidateCost&, const CandidateCost&) = default;
};

// `mse`: the squared error, summed over the tensor, of rounding every weight w to
// s * round(w * r) with s = `scale`, r = scale_reciprocal(s), as afp/codec.hpp defines.
// Exact up to the rounding of the double sums, whose order is fixed. For F32 statistics `scale` must be a
// power of two within min_scale_exponent .. max_scale_exponent: only then no threshold lies within a
// key. For BF16 and F16 any positive scale will do.
double squared_error(const Statistics& statistics, Format format, float scale);

// The scale of least squared error for a tensor block (see afp/scale.hpp), found by that cost.
struct TensorScale {
  std::uint8_t byte = 0;       // as stored, the Format's bit included
  float tensor_scale = 1.0f;   // 1 for e8m0
  double squared_error = 0.0;  // in the units of the weights

  friend bool operator==(const TensorScale&, const TensorScale&) = default;
};
// `encoding.block` is tensor. Nothing for F32 statistics under ue4m3: their keys do not decide it.
std::optional<TensorScale> choose_tensor_scale(const Statistics& statistics, const Encoding& encoding);

}  // namespace afp
