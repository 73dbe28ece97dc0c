// The slow oracle of the kl objectives: one weight after another, levels and distances in long double.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "reference.hpp"

namespace afp::reference {

// numpy.histogram(|w|, bins='sqrt', range=(0, limit)) for float32 values.
struct Histogram {
  std::vector<float> edges;
  std::vector<std::uint64_t> counts;
};

inline Histogram histogram(std::span<const float> weights, float limit, std::size_t most_bins = 1 << 20) {
  float smallest = std::numeric_limits<float>::infinity();
  std::uint64_t within = 0;
  for (const float w : weights) {
    smallest = std::min(smallest, std::fabs(w));
    within += std::fabs(w) <= limit;
  }
  const double width = static_cast<double>(limit - smallest) / std::sqrt(static_cast<double>(within));
  const std::size_t bins =
      width == 0.0
          ? 1
          : static_cast<std::size_t>(std::min(std::ceil(limit / width), static_cast<double>(most_bins)));
  Histogram result;
  for (std::size_t i = 0; i < bins; ++i)
    result.edges.push_back(static_cast<float>(static_cast<double>(i) *
                                              (static_cast<double>(limit) / static_cast<double>(bins))));
  result.edges.push_back(limit);
  result.counts.resize(bins);
  for (const float w : weights) {
    const float magnitude = std::fabs(w);
    if (!(magnitude <= limit)) continue;
    const auto above = std::upper_bound(result.edges.begin(), result.edges.end(), magnitude);
    const auto bin = static_cast<std::size_t>(above - result.edges.begin()) - 1;
    ++result.counts[std::min(bin, bins - 1)];
  }
  return result;
}

// The mean of (p - q) log2(p / q) over the bins where both are positive. counts: of weights on each level.
inline Real divergence(const Histogram& histogram, const std::vector<Real>& levels,
                       const std::vector<std::uint64_t>& counts, Real coordinate) {
  std::vector<Real> shares;
  Real total = 0, in_range = 0;
  for (const std::uint64_t count : counts) total += static_cast<Real>(count);
  for (const std::uint64_t count : histogram.counts) in_range += static_cast<Real>(count);
  Real running = 0;
  for (const std::uint64_t count : counts) shares.push_back((running += static_cast<Real>(count)) / total);
  running = 0;
  Real sum = 0;
  int bins = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    running += static_cast<Real>(histogram.counts[i]);
    const Real p = running / in_range;
    const Real x = (static_cast<Real>(histogram.edges[i]) + histogram.edges[i + 1]) * coordinate;
    const auto next =
        static_cast<std::size_t>(std::upper_bound(levels.begin(), levels.end(), x) - levels.begin());
    Real q;
    if (next == 0)
      q = shares.front();
    else if (next == levels.size())
      q = shares.back();
    else
      q = shares[next - 1] +
          (shares[next] - shares[next - 1]) * (x - levels[next - 1]) / (levels[next] - levels[next - 1]);
    if (p > 0 && q > 0) {
      sum += (p - q) * std::log2(p / q);
      ++bins;
    }
  }
  return bins == 0 ? 0 : sum / bins;
}

// The original's levels, rounded to float32.
inline std::vector<Real> seed_levels(float absmax, int exponent_bits, int mantissa_bits) {
  std::vector<Real> significands;
  for (int j = 0; j < 1 << mantissa_bits; ++j)
    significands.push_back(1 + std::ldexp(Real(j), -mantissa_bits));
  const Real goal = exponent_bits > 0 ? absmax / significands.back() : significands.back() - 1;
  const int upper = static_cast<int>(std::ceil(std::log2(goal)));
  const int lower = upper + 1 - (1 << exponent_bits);
  std::vector<Real> levels;
  for (const Real r : significands) levels.push_back(std::ldexp(r - 1, lower + 1));
  for (int i = lower + 1; i <= upper; ++i)
    for (const Real r : significands) levels.push_back(std::ldexp(r, i));
  for (Real& level : levels)
    if (level < std::ldexp(Real{1}, -126)) level = static_cast<float>(level);
  return levels;
}

// kl-seed: each magnitude to the nearest level, ties to the smaller; the thresholds between levels are
// rounded down to multiples of `unit`, where there is one.
inline Real seed_divergence(std::span<const float> weights, int exponent_bits, int mantissa_bits,
                            Real unit = 0) {
  const float largest_magnitude = absmax(weights);
  if (largest_magnitude == 0.0f) return 0;
  float largest = -std::numeric_limits<float>::infinity();
  for (const float w : weights) largest = std::max(largest, w);
  const std::vector<Real> levels = seed_levels(largest_magnitude, exponent_bits, mantissa_bits);
  std::vector<std::uint64_t> counts(levels.size());
  for (const float w : weights) {
    const Real magnitude = std::fabs(static_cast<Real>(w));
    std::size_t best = 0;
    for (std::size_t i = 1; i < levels.size(); ++i) {
      Real threshold = (levels[best] + levels[i]) / 2;
      if (unit > 0 && threshold < std::ldexp(Real{1}, -126)) threshold = std::floor(threshold / unit) * unit;
      if (levels[i] > levels[best] && magnitude > threshold) best = i;
    }
    ++counts[best];
  }
  return divergence(histogram(weights, largest > 0.0f ? largest : largest_magnitude), levels, counts, 1);
}

// kl: the values of a Format under a scale, this engine's rounding, the range of all magnitudes, bin centres.
inline Real kl_divergence(std::span<const float> weights, const Grid& grid, Real scale) {
  const float largest = absmax(weights);
  if (largest == 0.0f) return 0;
  const float r = reciprocal(scale);
  std::vector<Real> levels;
  for (std::uint32_t code = 0; code < grid.size(); ++code) levels.push_back(grid[code] * scale);
  std::vector<std::uint64_t> counts(levels.size());
  for (const float w : weights) ++counts[grid.nearest(scaled(std::fabs(w), r))];
  return divergence(histogram(weights, largest), levels, counts, 0.5L);
}

}  // namespace afp::reference
