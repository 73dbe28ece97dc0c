// The divergence that the kl objectives sum up, bin by bin of a LinearHistogram: the definition for every
// backend.
//
// p is the share of magnitudes up to and with the bin, q the share of rounded magnitudes there: the running
// sum of the counts per level, interpolated linearly between the levels. A bin counts where both are
// positive, with (p - q) log2(p / q); the divergence is the mean over the bins that count, summed as
// afp/lane_sum.hpp says, or 0 where none does.
#pragma once

#include <cstddef>

#include "afp/lane_sum.hpp"
#include "afp/log2.hpp"

namespace afp {

AFP_HD constexpr bool divergence_counts(double p, double q) {
  return p > 0.0 && q > 0.0;
}

AFP_HD constexpr double divergence_term(double p, double q) {
  return (p - q) * portable_log2(p / q);
}

// The running sum at x between two neighbouring levels, low <= x < high.
AFP_HD constexpr double interpolated_share(double x, double low, double share_low, double slope) {
  return slope * (x - low) + share_low;
}

AFP_HD constexpr double mean_divergence(const double* p, const double* q, std::size_t bins) {
  LaneSum sum;
  std::size_t count = 0;
  for (std::size_t i = 0; i < bins; ++i) {
    if (!divergence_counts(p[i], q[i])) continue;
    sum.lanes[i % kSumLanes] += divergence_term(p[i], q[i]);
    ++count;
  }
  return count == 0 ? 0.0 : sum.total() / static_cast<double>(count);
}

}  // namespace afp
