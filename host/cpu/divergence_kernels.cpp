// The divergence of afp/divergence.hpp with a bin a lane.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/divergence_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <cstring>
#include <limits>
#include <vector>

#include "afp/divergence.hpp"
#include "host/cpu/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DD = HWY_CAPPED(double, 8);
using VD = hn::Vec<DD>;
inline constexpr std::size_t kDoubles = hn::MaxLanes(DD());
inline constexpr std::size_t kRegisters = kSumLanes / kDoubles;

// portable_log2, operation by operation.
HWY_INLINE VD log2_lanes(VD x) {
  const DD d;
  const hn::RebindToSigned<DD> di;
  const auto bits = hn::BitCast(di, x);
  const auto k = hn::ShiftRight<52>(hn::Sub(bits, hn::Set(di, Log2Series::kSqrtHalf)));
  const VD m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<52>(k)));
  const VD one = hn::Set(d, 1.0);
  const VD s = hn::Div(hn::Sub(m, one), hn::Add(m, one)), z = hn::Mul(s, s);
  VD tail = hn::Set(d, Log2Series::term(0));
  for (std::size_t i = 1; i < Log2Series::kCount; ++i)
    tail = hn::Add(hn::Mul(tail, z), hn::Set(d, Log2Series::term(i)));
  const VD scale = hn::Set(d, Log2Series::kTwoOverLn2);
  const VD small =
      hn::Mul(s, hn::Add(hn::Mul(scale, hn::Mul(z, tail)), hn::Set(d, Log2Series::kTwoOverLn2Rest)));
  return hn::Add(hn::ConvertTo(d, k), hn::Add(hn::Mul(scale, s), small));
}

double mean_divergence(const double* p, const double* q, std::size_t bins) {
  const DD d;
  const VD zero = hn::Zero(d), one = hn::Set(d, 1.0);
  VD sums[kRegisters];
  for (VD& sum : sums) sum = zero;
  std::size_t count = 0;
  const auto add_group = [&](const double* group_p, const double* group_q) HWY_ATTR {
    for (std::size_t r = 0; r < kRegisters; ++r) {
      const VD a = hn::LoadU(d, group_p + r * kDoubles), b = hn::LoadU(d, group_q + r * kDoubles);
      const auto counts = hn::And(hn::Gt(a, zero), hn::Gt(b, zero));
      const VD ratio = hn::IfThenElse(counts, hn::Div(a, hn::IfThenElse(counts, b, one)), one);
      const VD term = hn::Mul(hn::Sub(a, b), log2_lanes(ratio));
      sums[r] = hn::Add(sums[r], hn::IfThenElseZero(counts, term));
      count += hn::CountTrue(d, counts);
    }
  };
  std::size_t i = 0;
  for (; i + kSumLanes <= bins; i += kSumLanes) add_group(p + i, q + i);
  if (i < bins) {
    double rest_p[kSumLanes] = {}, rest_q[kSumLanes] = {};
    std::memcpy(rest_p, p + i, (bins - i) * sizeof(double));
    std::memcpy(rest_q, q + i, (bins - i) * sizeof(double));
    add_group(rest_p, rest_q);
  }
  LaneSum sum;
  for (std::size_t r = 0; r < kRegisters; ++r) hn::StoreU(sums[r], d, sum.lanes + r * kDoubles);
  return count == 0 ? 0.0 : sum.total() / static_cast<double>(count);
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(mean_divergence);

namespace {

// The share of rounded magnitudes at each point: points and levels ascend together.
void take_shares_at(const std::vector<double>& points, const LevelShares& rounded,
                    std::vector<double>& at_points) {
  const std::vector<double>&levels = rounded.levels, &shares = rounded.shares;
  const std::size_t last = levels.size() - 1;
  std::size_t i = 0;
  for (std::size_t level = 0; level <= last && i < points.size(); ++level) {
    // The points from this level to the next; beyond the last one the share stays.
    const double end = level < last ? levels[level + 1] : std::numeric_limits<double>::infinity();
    if (points[i] >= end) continue;
    const double slope =
        level < last ? share_slope(levels[level], shares[level], levels[level + 1], shares[level + 1]) : 0.0;
    for (; i < points.size() && points[i] < end; ++i)
      at_points[i] = interpolated_share(points[i], levels[level], shares[level], slope);
  }
}

}  // namespace

void compare_shares(const MagnitudeShares& magnitudes, std::span<const LevelShares> rounded,
                    std::span<double> divergences) {
  std::vector<double> at_points(magnitudes.points.size());
  for (std::size_t c = 0; c < rounded.size(); ++c) {
    take_shares_at(magnitudes.points, rounded[c], at_points);
    divergences[c] =
        HWY_DYNAMIC_DISPATCH(mean_divergence)(magnitudes.shares.data(), at_points.data(), at_points.size());
  }
}

}  // namespace afp::cpu
#endif
