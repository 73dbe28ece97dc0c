// The search for the scale (and the Format) of least squared error of every cell of a tile, each
// cell a block of its own: afp/scale.hpp gives the rule, this file its form with a block a lane.
#if defined(AFP_HOST_CPU_SCALE_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_SCALE_SEARCH_INL_H_
#undef AFP_HOST_CPU_SCALE_SEARCH_INL_H_
#else
#define AFP_HOST_CPU_SCALE_SEARCH_INL_H_
#endif

#include "afp/scale.hpp"
#include "host/cpu/scaled_error-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// The two largest magnitudes of each block, normalized.
struct Largest {
  VF first, second;
};

HWY_INLINE Largest largest_of(const Tile& tile, int lane) {
  const DF df;
  const VF normalizer = hn::Load(df, tile.normalizer + lane);
  return {hn::Mul(hn::Load(df, tile.absmax + lane), normalizer),
          hn::Mul(hn::Load(df, tile.second + lane), normalizer)};
}

// Sums of (a - scale * round(a / scale))^2 for each scale. scale * value is exact, so that fusing it with the
// subtraction changes nothing. Without kClips no magnitude exceeds the Format's largest value.
template <bool kClips, int kCount, GridKind kind>
HWY_INLINE void squared_errors(const Lanes& cells, const Rounder<kind>& rounder, const VF (&scale)[kCount],
                               const VF (&reciprocal)[kCount], VF (&cost)[kCount]) {
  const auto error = [&](VF magnitude, int c) HWY_ATTR {
    VF y = hn::Mul(magnitude, reciprocal[c]);
    if constexpr (kClips) y = hn::Min(y, hn::Set(DF(), rounder.max_value));
    return hn::NegMulAdd(rounder.value(y), scale[c], magnitude);
  };
  sums_of_squares(cells, error, cost);
}

template <bool kClips, GridKind kind>
HWY_INLINE VF squared_error(const Lanes& cells, const Rounder<kind>& rounder, VF scale, VF reciprocal) {
  VF cost[1];
  squared_errors<kClips, 1>(cells, rounder, {scale}, {reciprocal}, cost);
  return cost[0];
}

// Two scales at once, where there are registers for it.
template <bool kClips, GridKind kind>
HWY_INLINE void two_squared_errors(const Lanes& cells, const Rounder<kind>& rounder, const VF (&scale)[2],
                                   const VF (&reciprocal)[2], VF (&cost)[2]) {
  if constexpr (kLanes == kTileCells) {
    squared_errors<kClips, 2>(cells, rounder, scale, reciprocal, cost);
  } else {
    for (int c = 0; c < 2; ++c) cost[c] = squared_error<kClips>(cells, rounder, scale[c], reciprocal[c]);
  }
}

// The best found so far for one lane group: cost, and the scale as the scan counts it (an e8m0
// exponent, a ue4m3 byte).
struct Best {
  VF cost;
  VI scale;
};

HWY_INLINE void keep_better(VF cost, VI scale, MF allowed, Best& best) {
  const MF better = hn::And(hn::Lt(cost, best.cost), allowed);
  best.cost = hn::IfThenElse(better, cost, best.cost);
  best.scale = hn::IfThenElse(hn::RebindMask(DI(), better), scale, best.scale);
}

// What clipping costs at least: the squared errors of a block's two largest weights. No sum of all
// squares, in whichever order it is rounded, is less than the sum of two of them.
HWY_INLINE VF clipping_cost(const Largest& largest, VF limit) {
  const VF first = hn::Max(hn::Sub(largest.first, limit), hn::Zero(DF()));
  const VF second = hn::Max(hn::Sub(largest.second, limit), hn::Zero(DF()));
  return hn::Add(hn::Mul(first, first), hn::Mul(second, second));
}

// What any error is at least at the scale with this limit or below. After a few steps, which suffice for most
// blocks, all that clips is counted instead of the two largest alone: blocks of many weights and few bits
// would otherwise be scanned to the smallest scale.
HWY_INLINE VF least_error(const Lanes& cells, const Largest& largest, VF limit, int step) {
  constexpr int kCheapSteps = 6;
  return step < kCheapSteps ? clipping_cost(largest, limit) : clipped_error(cells, limit);
}

// Which lanes may find less than `best` (and no more than `rival`) at the scale with this limit or below.
HWY_INLINE MF may_improve(const Lanes& cells, const Largest& largest, VF limit, int step, VF rival,
                          const Best& best) {
  const VF least = least_error(cells, largest, limit, step);
  return hn::And(hn::Lt(least, best.cost), hn::Le(least, rival));
}

// The e8m0 exponents of a lane group, relative to the normalizers': s0's, and the least a block may get.
struct Exponents {
  HWY_INLINE Exponents(const Tile& tile, int lane, const FormatGrid& format, VF largest)
      : normalizer(hn::Load(DI(), tile.exponent + lane)),
        lowest(hn::Sub(hn::Set(DI(), format.min_scale), normalizer)) {
    const DI di;
    const VI highest = hn::Sub(hn::Set(di, format.max_scale), normalizer);
    const VI bits = hn::BitCast(di, largest);
    const VI mantissa = hn::And(bits, hn::Set(di, 0x7FFFFF));
    const auto above =
        hn::Gt(mantissa, hn::Set(di, static_cast<std::int32_t>(float_bits(format.max_value) & 0x7FFFFF)));
    const VI x = hn::Sub(hn::ShiftRight<23>(bits), hn::Set(di, 127 + format.max_exponent));
    first = hn::Min(hn::Max(hn::Add(x, hn::IfThenElseZero(above, hn::Set(di, 1))), lowest), highest);
  }

  VI normalizer, lowest, first;
};

// e8m0: the scan goes down octave by octave from s0.
inline HWY_NOINLINE void search_e8m0(const Tile& tile, int lane, const FormatGrid& format, Best& best) {
  const DF df;
  const DI di;
  const Lanes cells = lanes_of(tile, lane);
  const QuotientLanes quotients(tile, lane);
  const Largest largest = largest_of(tile, lane);
  const Exponents exponents(tile, lane, format, largest.first);
  const VF max_value = hn::Set(df, format.max_value);

  VI x = exponents.first;
  best.scale = hn::Add(x, exponents.normalizer);
  // At s0 nothing clips, unless the largest scale allowed is smaller than s0.
  const MF clips = hn::Lt(hn::Mul(max_value, power_of_two(x)), largest.first);
  best.cost = HWY_LIKELY(hn::AllFalse(df, clips)) ? scaled_error<false>(quotients, format, 1.0f, x)
                                                  : scaled_error<true>(quotients, format, 1.0f, x);
  MF active = hn::Gt(largest.first, hn::Zero(df));
  for (int step = 0;; ++step) {
    x = hn::Sub(x, hn::Set(di, 1));
    const VI candidate = hn::Max(x, exponents.lowest);
    const VF limit = hn::Mul(max_value, power_of_two(candidate));
    active = hn::And(active, hn::Not(hn::RebindMask(df, hn::Lt(x, exponents.lowest))));
    active = hn::And(active, may_improve(cells, largest, limit, step, best.cost, best));
    if (hn::AllFalse(df, active)) break;
    keep_better(scaled_error<true>(quotients, format, 1.0f, candidate), hn::Add(x, exponents.normalizer),
                active, best);
  }
}

// s0's byte: largest / max_value rounded up to E4M3, then put right by the exact comparison, for
// the quotient itself was rounded. `unit` is the tensor's scale times the normalizer.
HWY_INLINE VI first_ue4m3(VF largest, VF unit, float max_value) {
  const DF df;
  const DI di;
  const VF relative = hn::Div(largest, unit);  // exact: unit is a power of two
  const VF target = hn::Div(relative, hn::Set(df, max_value));
  const VI rounded_up = hn::ShiftRight<20>(
      hn::Sub(hn::Add(hn::BitCast(di, target), hn::Set(di, 0xFFFFF)), hn::Set(di, 120 << 23)));
  const VI subnormal = hn::ConvertTo(di, hn::Ceil(hn::Mul(target, hn::Set(df, 512.0f))));
  const auto is_subnormal = hn::RebindMask(di, hn::Lt(target, hn::Set(df, exp2_int(-6))));
  VI byte = hn::IfThenElse(is_subnormal, subnormal, rounded_up);
  byte = hn::Min(hn::Max(byte, hn::Set(di, 1)), hn::Set(di, static_cast<std::int32_t>(kUe4m3Max)));
  const VF max = hn::Set(df, max_value);
  const VI below = hn::Max(hn::Sub(byte, hn::Set(di, 1)), hn::Set(di, 1));
  const MF too_large = hn::Ge(hn::Mul(max, ue4m3_lanes(below)), relative);
  byte = hn::IfThenElse(hn::RebindMask(di, too_large), below, byte);
  const MF too_small = hn::Lt(hn::Mul(max, ue4m3_lanes(byte)), relative);
  const VI one_up = hn::Min(hn::Add(byte, hn::Set(di, 1)), hn::Set(di, static_cast<std::int32_t>(kUe4m3Max)));
  return hn::IfThenElse(hn::RebindMask(di, too_small), one_up, byte);
}

// Scales of ue4m3 bytes, and their reciprocals without a division where registers hold a table: the
// reciprocal of (1 + m/8) * 2^e is that of its mantissa, rounded, times an exact power of two.
struct Ue4m3Scales {
  explicit HWY_INLINE Ue4m3Scales(VF tensor_unit)
      : unit(tensor_unit), inverse_unit(hn::Div(hn::Set(DF(), 1.0f), tensor_unit)) {}

  HWY_INLINE VF scale(VI byte) const { return hn::Mul(ue4m3_lanes(byte), unit); }
  HWY_INLINE VF reciprocal([[maybe_unused]] VI byte, VF scale_of_byte) const {
    const DF df;
#if HWY_TARGET != HWY_SCALAR
    const DI di;
    if constexpr (hn::MaxLanes(DF()) >= 8) {
      if (HWY_LIKELY(hn::AllFalse(di, hn::Lt(byte, hn::Set(di, 8))))) {
        const VI mantissa = hn::And(byte, hn::Set(di, 7));
        const VI exponent = hn::Sub(hn::Set(di, 127 + 7), hn::ShiftRight<3>(byte));
        const VF power = hn::Mul(hn::BitCast(df, hn::ShiftLeft<23>(exponent)), inverse_unit);
        return hn::Mul(
            hn::TableLookupLanes(hn::Load(df, kMantissaReciprocals), hn::IndicesFromVec(df, mantissa)),
            power);
      }
    }
#endif
    return hn::Div(hn::Set(df, 1.0f), scale_of_byte);
  }

  // Of 1 + i/8, rounded, twice over: as many as a register has lanes.
  alignas(64) static constexpr float kMantissaReciprocals[kTileCells] = {
      1 / 1.0f, 1 / 1.125f, 1 / 1.25f, 1 / 1.375f, 1 / 1.5f, 1 / 1.625f, 1 / 1.75f, 1 / 1.875f,
      1 / 1.0f, 1 / 1.125f, 1 / 1.25f, 1 / 1.375f, 1 / 1.5f, 1 / 1.625f, 1 / 1.75f, 1 / 1.875f};

  VF unit, inverse_unit;
};

template <bool kClips, GridKind kind>
HWY_INLINE VF ue4m3_error(const Lanes& cells, const Rounder<kind>& rounder, const Ue4m3Scales& scales,
                          VI byte) {
  const VF scale = scales.scale(byte);
  return squared_error<kClips>(cells, rounder, scale, scales.reciprocal(byte, scale));
}

template <bool kClips, GridKind kind>
HWY_INLINE void two_ue4m3_errors(const Lanes& cells, const Rounder<kind>& rounder, const Ue4m3Scales& scales,
                                 const VI (&byte)[2], VF (&cost)[2]) {
  const VF scale[2] = {scales.scale(byte[0]), scales.scale(byte[1])};
  const VF reciprocal[2] = {scales.reciprocal(byte[0], scale[0]), scales.reciprocal(byte[1], scale[1])};
  two_squared_errors<kClips>(cells, rounder, scale, reciprocal, cost);
}

// Effort::fast looks at two scales a Format: s0, so that it is never worse than the usual absmax scale (and
// exact where the weights lie on a grid), and the most frequent winner beside it. With few bits it pays to
// clip, with many to leave the largest weight some room.
struct FastSteps {
  int first, second;  // relative to s0
};
constexpr FastSteps fast_steps(int bits) {
  return bits <= 3 ? FastSteps{0, -2} : bits == 4 ? FastSteps{0, -1} : FastSteps{1, 0};
}

// ue4m3: eight scales an octave, from just below 2 s0 down. `rival` is the cost that the other Format
// of the pair has reached: what cannot get below it need not be looked at.
template <GridKind kind>
HWY_NOINLINE void search_ue4m3(const Tile& tile, int lane, Format format, float tensor_scale, Effort effort,
                               const Rounder<kind>& rounder, VF rival, Best& best) {
  const DF df;
  const DI di;
  const Lanes cells = lanes_of(tile, lane);
  const Largest largest = largest_of(tile, lane);
  const VF unit = hn::Mul(hn::Set(df, tensor_scale), hn::Load(df, tile.normalizer + lane));
  const Ue4m3Scales scales(unit);
  const VI one = hn::Set(di, 1);
  const VI highest = hn::Set(di, static_cast<std::int32_t>(kUe4m3Max));

  const VI first = first_ue4m3(largest.first, unit, rounder.max_value);
  const VI last_without_half = hn::Set(di, static_cast<std::int32_t>(kUe4m3LastWithoutHalf));
  const VI top = hn::Min(hn::Max(hn::Add(first, hn::Set(di, 7)), last_without_half), highest);
  const MF not_zero = hn::Gt(largest.first, hn::Zero(df));

  best.cost = hn::Set(df, hwy::HighestValue<float>());
  best.scale = first;
  if (effort == Effort::fast) {
    const FastSteps steps = fast_steps(format.bits());
    VI byte[2];
    for (int c = 0; c < 2; ++c) {
      const VI step = hn::Set(di, c == 0 ? steps.first : steps.second);
      byte[c] = hn::Max(hn::Min(hn::Add(first, step), top), one);
    }
    VF cost[2];
    two_ue4m3_errors<true>(cells, rounder, scales, byte, cost);
    for (int c = 0; c < 2; ++c) keep_better(cost[c], byte[c], not_zero, best);
    return;
  }
  // No weight clips from s0 on (unless s0 itself is out of range). The octave takes eight steps, at the
  // smallest scales up to fifteen: lanes that are through wait.
  const MF clips = hn::Lt(hn::Mul(scales.scale(first), hn::Set(df, rounder.max_value)), largest.first);
  const bool none_clips = hn::AllFalse(df, clips);
  VI byte = top;
  for (;;) {
    const MF in_octave = hn::And(not_zero, hn::Not(hn::RebindMask(df, hn::Lt(byte, first))));
    if (hn::AllFalse(df, in_octave)) break;
    const VI below = hn::Sub(byte, one);
    const VI candidate[2] = {hn::Max(byte, first), hn::Max(below, first)};
    VF cost[2];
    if (HWY_LIKELY(none_clips))
      two_ue4m3_errors<false>(cells, rounder, scales, candidate, cost);
    else
      two_ue4m3_errors<true>(cells, rounder, scales, candidate, cost);
    keep_better(cost[0], candidate[0], in_octave, best);
    keep_better(cost[1], candidate[1], hn::Not(hn::RebindMask(df, hn::Lt(below, first))), best);
    byte = hn::Sub(below, one);
  }
  byte = first;
  MF active = not_zero;
  for (int step = 0;; ++step) {
    byte = hn::Sub(byte, one);
    const VI candidate = hn::Max(byte, one);
    active = hn::And(active, hn::Not(hn::RebindMask(df, hn::Lt(byte, one))));
    const VF limit = hn::Mul(scales.scale(candidate), hn::Set(df, rounder.max_value));
    active = hn::And(active, may_improve(cells, largest, limit, step, rival, best));
    if (hn::AllFalse(df, active)) break;
    keep_better(ue4m3_error<true>(cells, rounder, scales, candidate), byte, active, best);
  }
}

// Scale bytes and costs (in normalized units) of the tile's cells under one candidate.
inline void search_tile(const Tile& tile, const TensorCodec& codec, Effort effort, std::uint8_t* scales,
                        float* costs) {
  const DF df;
  const DI di;
  const Encoding& encoding = codec.encoding;
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    if (lane >= tile.cells) break;
    const auto search = [&](Format format, Best& best, VF rival) HWY_ATTR {
      if (encoding.scale == ScaleKind::e8m0) return search_e8m0(tile, lane, FormatGrid(format), best);
      with_rounder(format, [&](const auto& rounder) HWY_ATTR {
        search_ue4m3(tile, lane, format, codec.tensor_scale, effort, rounder, rival, best);
      });
    };
    Best best;
    search(encoding.format, best, hn::Set(df, hwy::HighestValue<float>()));
    VI byte = best.scale;
    if (encoding.scale == ScaleKind::e8m0) byte = hn::Add(byte, hn::Set(di, kE8m0Bias));
    if (encoding.alternative) {
      Best other;
      search(*encoding.alternative, other, best.cost);
      const MF larger_scale = hn::RebindMask(df, hn::Gt(other.scale, best.scale));
      const MF wins =
          hn::Or(hn::Lt(other.cost, best.cost), hn::And(hn::Eq(other.cost, best.cost), larger_scale));
      const VI marked = hn::Add(other.scale, hn::Set(di, static_cast<std::int32_t>(kUe4m3Alternative)));
      byte = hn::IfThenElse(hn::RebindMask(di, wins), marked, byte);
      best.cost = hn::IfThenElse(wins, other.cost, best.cost);
    }
    const MF is_zero = hn::Eq(hn::Load(df, tile.absmax + lane), hn::Zero(df));
    byte = hn::IfThenZeroElse(hn::RebindMask(di, is_zero), byte);
    best.cost = hn::IfThenZeroElse(is_zero, best.cost);

    alignas(64) std::int32_t bytes[kTileCells];
    hn::Store(byte, di, bytes);
    hn::Store(best.cost, df, costs + lane);
    for (int i = 0; i < kLanes; ++i) scales[lane + i] = static_cast<std::uint8_t>(bytes[i]);
  }
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
