// What the kl objectives compare: the distribution of a tensor's magnitudes, and that of the levels they are
// rounded to.
#pragma once

#include <span>
#include <vector>

#include "afp/backend.hpp"
#include "afp/linear_histogram.hpp"
#include "host/core/cumulative_counts.hpp"

namespace afp {

// Levels, strictly ascending, and the share of weights rounded to a level up to and with each.
struct LevelShares {
  std::vector<double> levels;
  std::vector<double> shares;
};

// The original's levels for E exponent and M mantissa bits, each weight to the nearest, ties to the smaller
// (see afp/seed_search.hpp). 0 <= E <= 7, 0 <= M <= 7, 1 <= E + M <= 7; absmax > 0.
LevelShares seed_level_shares(const CumulativeCounts& counts, float absmax, int exponent_bits,
                              int mantissa_bits);

// This engine's values of a Format under a scale, with its own rounding.
LevelShares format_level_shares(const CumulativeCounts& counts, DType dtype, Format format, float scale);

// A tensor's histogram as divergences need it: made once, compared with many LevelShares.
class MagnitudeShares {
 public:
  // A bin is represented by the sum of its edges times `coordinate`: 0.5 for its centre.
  MagnitudeShares(const LinearHistogram& histogram, double coordinate);

  double divergence(const Backend& backend, const LevelShares& rounded) const;

 private:
  std::vector<double> points_, shares_;
};

}  // namespace afp
