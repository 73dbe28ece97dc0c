// Shares in vectors.
#include "host/core/level_shares.hpp"

#include <span>
#include <utility>

#include "afp/level_shares.hpp"

namespace afp {

MagnitudeShares magnitude_shares(const LinearHistogram& histogram, double coordinate) {
  const std::span<const float> edges = histogram.edges();
  std::uint64_t total = 0, running = 0;
  for (const std::uint64_t count : histogram.counts()) total += count;
  const std::size_t bins = histogram.bins();
  MagnitudeShares result{std::vector<double>(bins), std::vector<double>(bins)};
  for (std::size_t i = 0; i < bins; ++i) {
    running += histogram.counts()[i];
    result.points[i] = bin_point(edges[i], edges[i + 1], coordinate);
    result.shares[i] = static_cast<double>(running) / static_cast<double>(total);
  }
  return result;
}

LevelShares format_level_shares(const CumulativeCounts& counts, Format format, float scale) {
  const std::uint32_t count = format.max_magnitude() + 1;
  LevelShares result{std::vector<double>(count), std::vector<double>(count)};
  for (std::uint32_t code = 0; code < count; ++code) {
    result.levels[code] = format_level(format, scale, code);
    result.shares[code] = format_share(counts, format, scale, code);
  }
  return result;
}

LevelShares seed_level_shares(const CumulativeCounts& counts, float absmax, int exponent_bits,
                              int mantissa_bits) {
  const SeedLevels seed(absmax, exponent_bits, mantissa_bits);
  int count = seed.count();
  std::vector<double> levels(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) levels[static_cast<std::size_t>(i)] = seed[i];
  if (seed.need_rounding()) count = SeedLevels::round(levels.data(), count);
  levels.resize(static_cast<std::size_t>(count));
  std::vector<double> shares(levels.size());
  for (int i = 0; i < count; ++i)
    shares[static_cast<std::size_t>(i)] = seed_share(counts, levels.data(), count, i);
  return {std::move(levels), std::move(shares)};
}

}  // namespace afp
