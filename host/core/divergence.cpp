// The definition of the divergence, a bin after the other.
#include "afp/divergence.hpp"

namespace afp {

double divergence(const MagnitudeShares& magnitudes, const LevelShares& rounded) {
  const std::vector<double>&levels = rounded.levels, &shares = rounded.shares;
  const int last = static_cast<int>(levels.size()) - 1;
  LaneSum sum;
  std::size_t count = 0;
  for (std::size_t i = 0; i < magnitudes.points.size(); ++i) {
    const double x = magnitudes.points[i], p = magnitudes.shares[i];
    const int at = level_at(levels.data(), last + 1, x);
    const auto low = static_cast<std::size_t>(at);
    const double slope =
        at < last ? share_slope(levels[low], shares[low], levels[low + 1], shares[low + 1]) : 0.0;
    const double q = interpolated_share(x, levels[low], shares[low], slope);
    if (!divergence_counts(p, q)) continue;
    sum.lanes[i % kSumLanes] += divergence_term(p, q);
    ++count;
  }
  return count == 0 ? 0.0 : sum.total() / static_cast<double>(count);
}

}  // namespace afp
