// Sums of squared errors over keys: key_errors of afp/key_table.hpp with a key a lane.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/key_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "afp/codec.hpp"
#include "afp/key_table.hpp"
#include "host/cpu/kernels.hpp"
#include "host/cpu/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DD = HWY_CAPPED(double, 8);
using DHalf = hn::Rebind<float, DD>;
inline constexpr std::size_t kDoubles = hn::MaxLanes(DD());
inline constexpr std::size_t kRegisters = kSumLanes / kDoubles;  // of a group of keys

// What the magnitudes of a group round to under a scale, without it.
template <class R>
HWY_INLINE void round_group(const R& rounder, VF reciprocal, const float* base, VU offset, float* rounded) {
  const DF df;
  const VF most = hn::Set(df, rounder.max_value);
  for (std::size_t l = 0; l < kSumLanes; l += static_cast<std::size_t>(kLanes)) {
    const VU bits = hn::BitCast(DU(), hn::LoadU(df, base + l));
    const VF magnitude = hn::BitCast(df, hn::Add(bits, offset));
    hn::Store(rounder.value(hn::Min(hn::Mul(magnitude, reciprocal), most)), df, rounded + l);
  }
}

template <bool kHasInside, class R>
HWY_INLINE KeyErrors sum_keys(const KeyTable& keys, const R& rounder, float scale_value) {
  const DF df;
  const DD dd;
  const DHalf dh;
  const VF reciprocal = hn::Set(df, scale_reciprocal(scale_value));
  const auto scale = hn::Set(dd, static_cast<double>(scale_value));
  const double limit_value = static_cast<double>(rounder.max_value) * static_cast<double>(scale_value);
  const auto limit = hn::Set(dd, limit_value);
  const VU on_base = hn::Zero(DU()), inside = hn::Set(DU(), 1u);
  hn::Vec<DD> totals[kRegisters], clips[kRegisters];
  for (std::size_t r = 0; r < kRegisters; ++r) totals[r] = clips[r] = hn::Zero(dd);

  for (std::size_t first = 0; first < keys.slots(); first += kSumLanes) {
    alignas(64) float base_values[kSumLanes], inside_values[kSumLanes];
    round_group(rounder, reciprocal, keys.base.data() + first, on_base, base_values);
    if constexpr (kHasInside)
      round_group(rounder, reciprocal, keys.base.data() + first, inside, inside_values);
    const bool clips_some = static_cast<double>(keys.base[first + kSumLanes - 1]) >= limit_value;
    for (std::size_t r = 0; r < kRegisters; ++r) {
      const std::size_t at = r * kDoubles, slot = first + at;
      const auto base = hn::PromoteTo(dd, hn::LoadU(dh, keys.base.data() + slot));
      const auto value = hn::Mul(hn::PromoteTo(dd, hn::Load(dh, base_values + at)), scale);
      const auto distance = hn::Sub(base, value);
      auto error = hn::Mul(hn::Mul(hn::LoadU(dd, keys.count_base.data() + slot), distance), distance);
      if constexpr (kHasInside) {
        const auto inner = hn::Mul(hn::PromoteTo(dd, hn::Load(dh, inside_values + at)), scale);
        const auto off = hn::Sub(hn::LoadU(dd, keys.mean.data() + slot), inner);
        const auto about = hn::Mul(hn::Mul(hn::LoadU(dd, keys.count_inside.data() + slot), off), off);
        error = hn::Add(error, hn::Add(about, hn::LoadU(dd, keys.spread.data() + slot)));
      }
      totals[r] = hn::Add(totals[r], error);
      if (clips_some) clips[r] = hn::Add(clips[r], hn::IfThenElseZero(hn::Ge(base, limit), error));
    }
  }
  LaneSum total, clipped;
  for (std::size_t r = 0; r < kRegisters; ++r) {
    hn::StoreU(totals[r], dd, total.lanes + r * kDoubles);
    hn::StoreU(clips[r], dd, clipped.lanes + r * kDoubles);
  }
  return {total.total(), clipped.total()};
}

KeyErrors score_keys(const KeyTable& keys, Format format, float scale) {
  KeyErrors errors;
  with_rounder(format, [&](const auto& rounder) HWY_ATTR {
    errors = keys.has_inside() ? sum_keys<true>(keys, rounder, scale) : sum_keys<false>(keys, rounder, scale);
  });
  return errors;
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(score_keys);

KeyErrors score_keys(const KeyTable& keys, Format format, float scale) {
  return HWY_DYNAMIC_DISPATCH(score_keys)(keys, format, scale);
}

}  // namespace afp::cpu
#endif
