// The mse objective from Statistics.
#include "afp/objective.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "afp/codec.hpp"
#include "afp/error.hpp"
#include "afp/scale.hpp"

namespace afp {
namespace {

// Sums over keys have a shape that lanes of a warp can share: lane l adds keys l, l + 32, ... and
// the lanes are then added pairwise, neighbours first.
constexpr std::size_t kSumLanes = 32;

__extension__ using Wide = unsigned __int128;

struct LaneSum {
  double lanes[kSumLanes] = {};

  double total() {
    for (std::size_t width = 1; width < kSumLanes; width *= 2)
      for (std::size_t l = 0; l < kSumLanes; l += 2 * width) lanes[l] += lanes[l + width];
    return lanes[0];
  }
};

// Sum of (base + r * step - value)^2 over `count` weights with the given sums of r and r^2: their
// mean's distance and their spread, neither of which cancels.
double key_error(double base, double step, std::uint64_t count, std::uint64_t sum_r, std::uint64_t sum_r2,
                 double value) {
  if (count == 0) return 0.0;
  const double n = static_cast<double>(count);
  const double distance = base + step * (static_cast<double>(sum_r) / n) - value;
  const Wide spread =
      static_cast<Wide>(sum_r2) * count - static_cast<Wide>(sum_r) * sum_r;  // n^2 times the variance
  return n * distance * distance + step * step * (static_cast<double>(spread) / n);
}

struct ErrorSums {
  double total = 0.0;
  double clipped = 0.0;  // of the weights above the Format's largest value
};

ErrorSums error_sums(const Statistics& statistics, Format format, float scale) {
  const float reciprocal = scale_reciprocal(scale);
  const double limit = static_cast<double>(format.max_value()) * scale;
  LaneSum total, clipped;
  const auto rounded = [&](float magnitude) {
    return static_cast<double>(decode(format, encode_magnitude(format, magnitude * reciprocal))) * scale;
  };
  for (std::size_t i = 0; i < statistics.key_count(); ++i) {
    const Statistics::Key key = statistics.key(i);
    if (key.count == 0) continue;
    double error = 0.0;
    if (key.count_base > 0) {
      const double distance = static_cast<double>(key.base) - rounded(key.base);
      error += static_cast<double>(key.count_base) * distance * distance;
    }
    if (key.count > key.count_base) {
      // Any weight strictly inside the key rounds like all others there.
      const float inside = bits_float(float_bits(key.base) + 1);
      error +=
          key_error(key.base, key.step, key.count - key.count_base, key.sum_r, key.sum_r2, rounded(inside));
    }
    total.lanes[i % kSumLanes] += error;
    if (key.base >= limit) clipped.lanes[i % kSumLanes] += error;
  }
  return {total.total(), clipped.total()};
}

}  // namespace

Objective parse_objective(std::string_view text) {
  for (const Objective objective : {Objective::mse, Objective::kl, Objective::kl_seed})
    if (text == to_string(objective)) return objective;
  throw UsageError("unknown objective '" + std::string(text) + "'; expected mse, kl or kl-seed");
}

std::string_view to_string(Objective objective) {
  switch (objective) {
    case Objective::mse:
      return "mse";
    case Objective::kl:
      return "kl";
    case Objective::kl_seed:
      break;
  }
  return "kl-seed";
}

double squared_error(const Statistics& statistics, Format format, float scale) {
  return error_sums(statistics, format, scale).total;
}

std::optional<TensorScale> choose_tensor_scale(const Statistics& statistics, const Encoding& encoding) {
  const float absmax = statistics.absmax();
  if (absmax == 0.0f) return TensorScale{};
  const bool is_e8m0 = encoding.scale == ScaleKind::e8m0;
  if (!is_e8m0 && statistics.dtype() == DType::F32) return std::nullopt;

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
      const ErrorSums error = error_sums(statistics, format, value);
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
