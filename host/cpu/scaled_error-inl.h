// The squared error of a tile's cells under scales that many candidates share parts of, bit for bit that of
// squared_error in scale_search-inl.h.
//
// A scale is f 2^x with f = 1 under e8m0 and f = 1 + i/8 under ue4m3. Magnitudes are divided by f once for
// all candidates; the quotient q is then rounded where it lies, to steps of its own binade over 2^M, but not
// below those of the smallest normal value times 2^x:
//
//     b = max(binade(q), 2^x smallest normal),   v = (q + b 2^(23-M)) - b 2^(23-M),   v = min(v, 2^x largest
//     value)
//
// and f v is what the codes would stand for. Between candidates nothing differs but two limits a lane.
#if defined(AFP_HOST_CPU_SCALED_ERROR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_SCALED_ERROR_INL_H_
#undef AFP_HOST_CPU_SCALED_ERROR_INL_H_
#else
#define AFP_HOST_CPU_SCALED_ERROR_INL_H_
#endif

#include "host/cpu/block_sums-inl.h"
#include "host/cpu/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// Magnitudes of a tile divided by the fraction of their scale (1 + i/8), rounded to float32, and the power of
// two that each quotient begins with (0 for subnormal ones).
struct Quotients {
  alignas(64) float values[kMaxCell * kTileCells];
  alignas(64) float binades[kMaxCell * kTileCells];
};

HWY_INLINE void divide(const Tile& tile, int lane, float fraction, Quotients& quotients) {
  const DF df;
  const VF reciprocal = hn::Set(df, 1.0f / fraction);
  for (int at = lane; at < tile.length * kTileCells; at += kTileCells) {
    const VF quotient = hn::Mul(hn::Load(df, tile.magnitudes + at), reciprocal);
    hn::Store(quotient, df, quotients.values + at);
    hn::Store(binade_of(quotient), df, quotients.binades + at);
  }
}

struct QuotientLanes {
  // Quotients by 1 are the magnitudes themselves.
  QuotientLanes(const Tile& tile, int lane)
      : magnitudes(tile.magnitudes + lane),
        values(magnitudes),
        binades(tile.binades + lane),
        length(tile.length) {}
  QuotientLanes(const Tile& tile, const Quotients& quotients, int lane)
      : magnitudes(tile.magnitudes + lane),
        values(quotients.values + lane),
        binades(quotients.binades + lane),
        length(tile.length) {}

  const float* magnitudes;
  const float* values;
  const float* binades;
  int length;
};

HWY_INLINE VF power_of_two(VI exponent) {
  return hn::BitCast(DF(), hn::ShiftLeft<23>(hn::Add(exponent, hn::Set(DI(), 127))));
}

// 2^exponent, or 0 where that is no normal number.
HWY_INLINE VF power_or_zero(VI exponent) {
  const DI di;
  return hn::BitCast(DF(), hn::ShiftLeft<23>(hn::Max(hn::Add(exponent, hn::Set(di, 127)), hn::Zero(di))));
}

// From here on a Format has values so far below its largest that most blocks have none of its subnormal ones.
inline constexpr int kWideExponentBits = 4;

// What the inner functions need to know of a Format, made once: calls out of vector code are dear.
struct FormatGrid {
  explicit FormatGrid(Format format)
      : kind(grid_kind(format)),
        is_wide(format.exponent_bits >= kWideExponentBits),
        mantissa_bits(format.mantissa_bits),
        max_value(format.max_value()),
        max_exponent(format.max_exponent()),
        min_normal_exponent(format.min_normal_exponent()),
        min_scale(min_scale_exponent(format)),
        max_scale(max_scale_exponent(format)),
        steps(exp2_int(23 - mantissa_bits)) {}

  GridKind kind;
  bool is_wide;
  int mantissa_bits;
  float max_value;
  int max_exponent, min_normal_exponent;
  int min_scale, max_scale;  // exponents that e8m0 may choose
  float steps;               // the shifter in units of the binade
};

// Rounds quotients to a Format's values times 2^x, x an integer a lane.
template <GridKind kind>
struct ShiftedGrid {
  HWY_INLINE ShiftedGrid(const FormatGrid& format, VI x)
      : least(power_or_zero(hn::Add(x, hn::Set(DI(), format.min_normal_exponent)))) {
    steps_of_odd = steps_of_even = hn::Set(DF(), format.steps);
    if constexpr (kind == GridKind::powers) {
      // The field of the value before it was shifted decides a tie, see Rounder.
      const VF up = hn::Set(DF(), kTieUp), down = hn::Set(DF(), kTieDown);
      const MF odd_shift = hn::RebindMask(DF(), hn::TestBit(x, hn::Set(DI(), 1)));
      steps_of_odd = hn::IfThenElse(odd_shift, down, up);
      steps_of_even = hn::IfThenElse(odd_shift, up, down);
    }
    if constexpr (kind == GridKind::uniform) least = hn::Mul(least, steps_of_odd);
  }

  // b * steps is exact: whether it is fused with the addition makes no difference.
  HWY_INLINE VF value(VF quotient, [[maybe_unused]] VF binade) const {
    if constexpr (kind == GridKind::uniform) {  // the step of the smallest normal value everywhere
      return hn::Sub(hn::Add(quotient, least), least);
    } else {
      const VF b = hn::Max(binade, least);
      VF steps = steps_of_odd;
      if constexpr (kind == GridKind::powers) {
        const auto is_odd = hn::TestBit(hn::BitCast(DI(), b), hn::Set(DI(), 1 << 23));
        steps = hn::IfThenElse(hn::RebindMask(DF(), is_odd), steps_of_odd, steps_of_even);
      }
      return hn::NegMulAdd(b, steps, hn::MulAdd(b, steps, quotient));
    }
  }

  VF least;
  VF steps_of_odd, steps_of_even;
};

// Squared errors of the lanes under the scale fraction * 2^x, their quotients being by that fraction.
template <bool kClips, GridKind kind>
HWY_INLINE VF grid_error(const QuotientLanes& cells, const FormatGrid& format, float fraction, VI x) {
  const DF df;
  const ShiftedGrid<kind> grid(format, x);
  const VF limit = hn::Mul(hn::Set(df, format.max_value), power_of_two(x));
  const VF factor = hn::Set(df, fraction);
  VF cost[1];
  sums_of_squares_at(
      cells.length,
      [&](int at, int) HWY_ATTR {
        VF value = grid.value(hn::Load(df, cells.values + at), hn::Load(df, cells.binades + at));
        if constexpr (kClips) value = hn::Min(value, limit);
        return hn::NegMulAdd(value, factor, hn::Load(df, cells.magnitudes + at));
      },
      cost);
  return cost[0];
}

template <bool kClips>
HWY_NOINLINE VF scaled_error(const QuotientLanes& cells, const FormatGrid& format, float fraction, VI x) {
  switch (format.kind) {
    case GridKind::uniform:
      return grid_error<kClips, GridKind::uniform>(cells, format, fraction, x);
    case GridKind::powers:
      // Under a power of two a tie is one of the weight too, as far from either value.
      if (fraction != 1.0f) return grid_error<kClips, GridKind::powers>(cells, format, fraction, x);
      [[fallthrough]];
    default:
      return grid_error<kClips, GridKind::floating>(cells, format, fraction, x);
  }
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
