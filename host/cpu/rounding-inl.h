// Rounding a register of scaled magnitudes to a Format: the values (to measure errors) and the
// codes (to store them). The three kinds of grid differ only in how many instructions they need;
// each gives what encode_magnitude in afp/codec.hpp gives.
#if defined(AFP_HOST_CPU_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_ROUNDING_INL_H_
#undef AFP_HOST_CPU_ROUNDING_INL_H_
#else
#define AFP_HOST_CPU_ROUNDING_INL_H_
#endif

#include "afp/format.hpp"
#include "host/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

enum class GridKind { uniform, floating, powers };

constexpr GridKind grid_kind(Format format) {
  if (format.exponent_bits == 1) return GridKind::uniform;
  return format.mantissa_bits == 0 ? GridKind::powers : GridKind::floating;
}

// All take y in [0, max_value], or above it by no more than the rounding of y itself.
template <GridKind kind>
struct Rounder;

// E = 1: one step everywhere. Adding 2^23 steps rounds to whole steps, ties to even.
template <>
struct Rounder<GridKind::uniform> {
  explicit Rounder(Format format)
      : shifter(exp2_int(format.step_exponent() + 23)), max_value(format.max_value()) {}

  HWY_INLINE VF value(VF y) const {
    const VF c = hn::Set(DF(), shifter);
    return hn::Sub(hn::Add(y, c), c);
  }
  HWY_INLINE VU code(VF y) const {
    const VF c = hn::Set(DF(), shifter);
    return hn::Sub(hn::BitCast(DU(), hn::Add(y, c)), hn::BitCast(DU(), c));
  }

  float shifter;
  float max_value;
};

// The step is that of y's binade, at least that of the smallest normal value: the same addition
// with a shifter made from y's exponent.
template <>
struct Rounder<GridKind::floating> {
  explicit Rounder(Format format)
      : min_normal(exp2_int(format.min_normal_exponent())),
        shifter_steps(exp2_int(23 - format.mantissa_bits)),
        max_value(format.max_value()),
        mantissa_bits(format.mantissa_bits) {}

  HWY_INLINE VF binade(VF y) const { return hn::Max(binade_of(y), hn::Set(DF(), min_normal)); }
  HWY_INLINE VF value(VF y) const {  // b * steps is exact: whether it is fused makes no difference
    const VF b = binade(y), steps = hn::Set(DF(), shifter_steps);
    return hn::NegMulAdd(b, steps, hn::MulAdd(b, steps, y));
  }
  HWY_INLINE VU code(VF y) const {
    // In units of the binade's step, |y| counts from 2^M on in normal binades; each binade above
    // the first adds 2^M codes.
    const DU du;
    const VF b = binade(y);
    const VF c = hn::Mul(b, hn::Set(DF(), shifter_steps));
    const VU steps = hn::Sub(hn::BitCast(du, hn::Add(y, c)), hn::BitCast(du, c));
    const VU binades = hn::Sub(hn::BitCast(du, b), hn::Set(du, float_bits(min_normal)));
    return hn::Add(steps, hn::ShiftRightSame(binades, 23 - mantissa_bits));
  }

  float min_normal;
  float shifter_steps;  // 2^(23 - M), the shifter in units of the binade
  float max_value;
  int mantissa_bits;
};

// M = 0, E >= 2: zero and powers of two. Ties go to the even code, that is to the even exponent field, whose
// parity is that of the float32's field (127 - bias is even). A shifter of 2^23 steps sends the tie between
// b and 2 b up, one of 2^23 + 1 steps sends it down.
inline constexpr float kTieUp = 0x1p23f, kTieDown = 0x1.000002p23f;

template <>
struct Rounder<GridKind::powers> {
  explicit Rounder(Format format)
      : smallest(exp2_int(format.min_normal_exponent())),
        max_value(format.max_value()),
        exponent_offset(127 - format.bias()) {}

  HWY_INLINE VF value(VF y) const {
    const DF df;
    const DI di;
    const VF b = hn::Max(binade_of(y), hn::Set(df, smallest));
    const MF is_odd = hn::RebindMask(df, hn::TestBit(hn::BitCast(di, b), hn::Set(di, 1 << 23)));
    const VF steps = hn::IfThenElse(is_odd, hn::Set(df, kTieUp), hn::Set(df, kTieDown));
    return hn::NegMulAdd(b, steps, hn::MulAdd(b, steps, y));  // b * steps is exact
  }
  HWY_INLINE VU code(VF y) const {
    const VF rounded = value(y);
    const VI exponent = hn::Sub(hn::BitCast(DI(), hn::ShiftRight<23>(hn::BitCast(DU(), rounded))),
                                hn::Set(DI(), exponent_offset));
    return hn::BitCast(DU(), hn::Max(exponent, hn::Zero(DI())));  // zero: field 0, below the offset
  }

  float smallest;
  float max_value;
  int exponent_offset;
};

// Values of ue4m3 bytes without their top bit; see ue4m3_value.
HWY_INLINE VF ue4m3_lanes(VI byte) {
  const DF df;
  const DI di;
  const VF normal = hn::BitCast(df, hn::Add(hn::ShiftLeft<20>(byte), hn::Set(di, 120 << 23)));
  const VF subnormal = hn::Mul(hn::ConvertTo(df, byte), hn::Set(df, exp2_int(-9)));
  return hn::IfThenElse(hn::RebindMask(df, hn::Lt(byte, hn::Set(di, 8))), subnormal, normal);
}

// Calls `body` with the Rounder of the Format: one instantiation for each kind of grid.
template <class Body>
HWY_INLINE void with_rounder(Format format, const Body& body) {
  switch (grid_kind(format)) {
    case GridKind::uniform:
      return body(Rounder<GridKind::uniform>(format));
    case GridKind::floating:
      return body(Rounder<GridKind::floating>(format));
    case GridKind::powers:
      return body(Rounder<GridKind::powers>(format));
  }
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
