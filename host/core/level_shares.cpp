// Levels, counts per level, and the divergence from a tensor's histogram.
#include "host/core/level_shares.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "afp/codec.hpp"
#include "afp/divergence.hpp"

namespace afp {
namespace {

// To a multiple of 2^-149 where float32 has no finer values; above, all levels are float32 values.
double to_float32(double level) {
  return level < 0x1p-126 ? static_cast<double>(static_cast<float>(level)) : level;
}

// |exponent| < 1023.
double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52);
}

// The smallest u with largest * 2^u >= absmax: ceil(log2(absmax / largest)).
int first_exponent_to_reach(double largest, double absmax) {
  int exponent = std::ilogb(absmax / largest) - 1;
  while (largest * power_of_two(exponent) < absmax) ++exponent;
  return exponent;
}

std::vector<double> seed_levels(float absmax, int exponent_bits, int mantissa_bits) {
  const int steps = 1 << mantissa_bits;
  const double largest = 2.0 - 1.0 / steps;
  // Without exponent bits the original ignores the weights: ceil(log2(largest - 1)).
  const int upper = exponent_bits > 0 ? first_exponent_to_reach(largest, static_cast<double>(absmax))
                                      : first_exponent_to_reach(1.0, largest - 1.0);
  const int lower = upper + 1 - (1 << exponent_bits);
  std::vector<double> levels(std::size_t{1} << (exponent_bits + mantissa_bits));
  double* level = levels.data();
  for (int octave = lower; octave <= upper; ++octave) {
    // The lowest octave has the steps of the next one, and begins at 0.
    const double begin = octave == lower ? 0.0 : power_of_two(octave);
    const double step = power_of_two(std::max(octave, lower + 1) - mantissa_bits);
    for (int j = 0; j < steps; ++j) *level++ = begin + step * j;
  }
  if (levels.size() > 1 && levels[1] < 0x1p-126) {
    for (double& value : levels) value = to_float32(value);
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());  // equal ones get no weights
  }
  return levels;
}

}  // namespace

LevelShares seed_level_shares(const CumulativeCounts& counts, float absmax, int exponent_bits,
                              int mantissa_bits) {
  LevelShares result{seed_levels(absmax, exponent_bits, mantissa_bits), {}};
  const std::vector<double>& levels = result.levels;
  const auto total = static_cast<double>(counts.total());
  result.shares.resize(levels.size(), 1.0);
  for (std::size_t i = 0; i + 1 < levels.size(); ++i)
    result.shares[i] = static_cast<double>(counts.below((levels[i] + levels[i + 1]) / 2, true)) / total;
  return result;
}

LevelShares format_level_shares(const CumulativeCounts& counts, DType dtype, Format format, float scale) {
  LevelShares result;
  const auto total = static_cast<double>(counts.total());
  const float reciprocal = scale_reciprocal(scale);
  const std::uint32_t last = format.max_magnitude();
  for (std::uint32_t code = 0; code <= last; ++code) {
    const double level = static_cast<double>(decode(format, code)) * static_cast<double>(scale);
    result.levels.push_back(level);
    if (code == last) {
      result.shares.push_back(1.0);
      break;
    }
    const double next = static_cast<double>(decode(format, code + 1)) * static_cast<double>(scale);
    const double threshold = (level + next) / 2;
    const std::uint64_t within = dtype == DType::F32 ? counts.below(threshold, code % 2 == 0)
                                                     : counts.up_to_code(format, reciprocal, code, threshold);
    result.shares.push_back(static_cast<double>(within) / total);
  }
  return result;
}

MagnitudeShares::MagnitudeShares(const LinearHistogram& histogram, double coordinate) {
  const std::span<const float> edges = histogram.edges();
  std::uint64_t total = 0, running = 0;
  for (const std::uint64_t count : histogram.counts()) total += count;
  for (std::size_t i = 0; i < histogram.bins(); ++i) {
    running += histogram.counts()[i];
    points_.push_back((static_cast<double>(edges[i]) + static_cast<double>(edges[i + 1])) * coordinate);
    shares_.push_back(static_cast<double>(running) / static_cast<double>(total));
  }
}

double MagnitudeShares::divergence(const Backend& backend, const LevelShares& rounded) const {
  const std::vector<double>&levels = rounded.levels, &shares = rounded.shares;
  std::vector<double> at_points(points_.size());
  const std::size_t last = levels.size() - 1;
  std::size_t i = 0;
  for (std::size_t level = 0; level <= last && i < points_.size(); ++level) {
    // The points from this level to the next; beyond the last one the share stays.
    const double end = level < last ? levels[level + 1] : std::numeric_limits<double>::infinity();
    if (points_[i] >= end) continue;
    const double slope =
        level < last ? (shares[level + 1] - shares[level]) / (levels[level + 1] - levels[level]) : 0.0;
    for (; i < points_.size() && points_[i] < end; ++i)
      at_points[i] = interpolated_share(points_[i], levels[level], shares[level], slope);
  }
  return backend.mean_divergence(shares_, at_points);
}

}  // namespace afp
