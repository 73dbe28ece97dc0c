// What the kl objectives compare: the distribution of a tensor's magnitudes, and that of the levels they are
// rounded to.
#pragma once

#include "afp/cumulative_counts.hpp"
#include "afp/divergence.hpp"
#include "afp/format.hpp"
#include "afp/linear_histogram.hpp"

namespace afp {

// `coordinate` as bin_point() takes it.
MagnitudeShares magnitude_shares(const LinearHistogram& histogram, double coordinate);

LevelShares format_level_shares(const CumulativeCounts& counts, Format format, float scale);

// As SeedLevels says.
LevelShares seed_level_shares(const CumulativeCounts& counts, float absmax, int exponent_bits,
                              int mantissa_bits);

}  // namespace afp
