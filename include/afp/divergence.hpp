// The divergence that the kl objectives sum up, bin by bin of a LinearHistogram: the definition for every
// backend.
//
// p is the share of magnitudes up to and with the bin, q the share of rounded magnitudes there: the running
// sum of the counts per level, interpolated linearly between the levels. A bin counts where both are
// positive, with (p - q) log2(p / q); the divergence is the mean over the bins that count, summed as
// afp/lane_sum.hpp says, or 0 where none does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/lane_sum.hpp"
#include "afp/log2.hpp"

namespace afp {

// Bins: where the distributions are compared, ascending, and the share of magnitudes up to and with each.
struct MagnitudeShares {
  std::vector<double> points, shares;
};

// Levels, strictly ascending from 0, and the share of weights rounded to a level up to and with each.
struct LevelShares {
  std::vector<double> levels, shares;
};

// The point that stands for a bin: the sum of its edges times `coordinate`, 0.5 for its centre. The original
// compares at the sum itself.
inline constexpr double kBinCentre = 0.5, kSeedCoordinate = 1.0;
AFP_HD constexpr double bin_point(float low_edge, float high_edge, double coordinate) {
  return (static_cast<double>(low_edge) + static_cast<double>(high_edge)) * coordinate;
}

// The running sum at x between two neighbouring levels, low <= x < high. Beyond the last one it stays: the
// slope is 0.
AFP_HD constexpr double share_slope(double low, double share_low, double high, double share_high) {
  return (share_high - share_low) / (high - low);
}
AFP_HD constexpr double interpolated_share(double x, double low, double share_low, double slope) {
  return slope * (x - low) + share_low;
}

// The last of the levels at or below x >= 0.
AFP_HD constexpr int level_at(const double* levels, int count, double x) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    if (levels[middle] <= x)
      low = middle;
    else
      high = middle;
  }
  return low;
}

AFP_HD constexpr bool divergence_counts(double p, double q) {
  return p > 0.0 && q > 0.0;
}

AFP_HD constexpr double divergence_term(double p, double q) {
  return (p - q) * portable_log2(p / q);
}

double divergence(const MagnitudeShares& magnitudes, const LevelShares& rounded);

}  // namespace afp
