// Format: the shape of a tiny floating-point number.
//
// A code has N = 1 + E + M bits, N in 2..8: sign, E exponent bits, M mantissa bits, from the top.
// With bias = 2^(E-1) - 1, exponent field e and mantissa field m its value is
//
//     e  > 0 :  (-1)^sign * 2^(e - bias) * (1 + m / 2^M)
//     e == 0 :  (-1)^sign * 2^(1 - bias) * (    m / 2^M)      gradual underflow, zero included
//
// Every code is a number: there is no infinity and no NaN, the top exponent counts like any other.
// E2M1, E2M3 and E3M2 are the element types of OCP MXFP4 and MXFP6. E = 1 is a uniform grid, for
// both its exponent fields have the same step: what others call E0M(k+1) is E1Mk here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "afp/hd.hpp"

namespace afp {

inline constexpr int kMinBits = 2;
inline constexpr int kMaxBits = 8;

struct Format {
  std::uint8_t exponent_bits = 2;  // E, 1..7
  std::uint8_t mantissa_bits = 1;  // M, 0..6

  AFP_HD constexpr int bits() const { return 1 + exponent_bits + mantissa_bits; }
  AFP_HD constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  AFP_HD constexpr bool valid() const {
    return exponent_bits >= 1 && bits() >= kMinBits && bits() <= kMaxBits;
  }

  // The magnitude part of the largest code, and the exponents (of two) of its value's leading bit,
  // of the smallest normal value and of the smallest subnormal step.
  AFP_HD constexpr std::uint32_t max_magnitude() const { return (1u << (bits() - 1)) - 1; }
  AFP_HD constexpr int max_exponent() const { return (1 << exponent_bits) - 1 - bias(); }
  AFP_HD constexpr int min_normal_exponent() const { return 1 - bias(); }
  AFP_HD constexpr int step_exponent() const { return min_normal_exponent() - mantissa_bits; }

  // The largest value: 2^max_exponent * (2 - 2^-M).
  AFP_HD constexpr float max_value() const {
    return exp2_int(max_exponent()) * (2.0f - exp2_int(-mantissa_bits));
  }

  AFP_HD friend constexpr bool operator==(Format a, Format b) {
    return a.exponent_bits == b.exponent_bits && a.mantissa_bits == b.mantissa_bits;
  }
};

// "E2M1"; "E0M3" is read as E1M2. Throws UsageError for anything else.
Format parse_format(std::string_view text);
std::string to_string(Format format);

// All Formats of `bits` bits, fewest exponent bits first: E1M(N-2) ... E(N-1)M0.
std::vector<Format> formats_of(int bits);

}  // namespace afp
