// The scan for the scale of a tensor block (see afp/scale.hpp), whatever sums the errors up.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>

#include "afp/codec.hpp"
#include "afp/key_table.hpp"
#include "afp/objective.hpp"
#include "afp/scale.hpp"

namespace afp {

// errors(format, scale) -> KeyErrors.
template <class Errors>
std::optional<TensorScale> scan_tensor_scales(DType dtype, float absmax, const Encoding& encoding,
                                              const Errors& errors) {
  if (absmax == 0.0f) return TensorScale{};
  const bool is_e8m0 = encoding.scale == ScaleKind::e8m0;
  if (!is_e8m0 && dtype == DType::F32) return std::nullopt;

  TensorScale best{0, 1.0f, std::numeric_limits<double>::infinity()};
  float best_value = 0.0f;
  if (!is_e8m0) best.tensor_scale = ue4m3_tensor_scale(encoding.smallest_max_value(), absmax);

  for (int which = 0; which < encoding.format_count(); ++which) {
    const Format format = which == 0 ? encoding.format : *encoding.alternative;
    int byte, lowest;
    if (is_e8m0) {
      byte = e8m0_first_exponent(format, absmax) + kE8m0Bias;
      lowest = min_scale_exponent(format) + kE8m0Bias;
    } else {
      byte = static_cast<int>(ue4m3_scan_top(ue4m3_first(format, absmax / best.tensor_scale)));
      lowest = 1;
    }
    double best_of_format = std::numeric_limits<double>::infinity();
    for (; byte >= lowest; --byte) {
      const auto bits = static_cast<std::uint32_t>(byte);
      const float value = is_e8m0 ? e8m0_value(bits) : ue4m3_value(bits) * best.tensor_scale;
      const KeyErrors error = errors(format, value);
      const bool larger = error.total == best.squared_error && value > best_value;
      if (error.total < best.squared_error || larger) {
        best.squared_error = error.total;
        best.byte = static_cast<std::uint8_t>(bits | (which == 0 ? 0u : kUe4m3Alternative));
        best_value = value;
      }
      best_of_format = std::min(best_of_format, error.total);
      if (error.clipped > best_of_format) break;
    }
  }
  return best;
}

}  // namespace afp
