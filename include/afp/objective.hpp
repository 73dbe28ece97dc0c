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

// What a Format costs in hardware by the original's count: 2^E + M + E + ((E > 0) + M)^2.
constexpr int hardware_penalty(int exponent_bits, int mantissa_bits) {
  const int significand = (exponent_bits > 0 ? 1 : 0) + mantissa_bits;
  return (1 << exponent_bits) + mantissa_bits + exponent_bits + significand * significand;
}

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
};
// `encoding.block` is tensor. Nothing for F32 statistics under ue4m3: their keys do not decide it.
std::optional<TensorScale> choose_tensor_scale(const Statistics& statistics, const Encoding& encoding);

}  // namespace afp
