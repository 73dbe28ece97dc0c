// Codec: one weight to one code and back, and the two kinds of scale byte. Host/device neutral:
// these functions are the definition, vector code elsewhere is tested against them.
//
// Encoding a weight w of a block with scale s: y = w * r in float32, r = scale_reciprocal(s);
// code = encode(format, y). Decoding: decode(format, code) * s, exact in float32 (a significand of
// at most 7 bits times one of at most 4), then times the tensor's scale where there is one.
#pragma once

#include <cstdint>

#include "afp/format.hpp"

namespace afp {

// Rounds |y| to the nearest value of the Format, ties to the even code, saturating: the magnitude
// part of the code, 0 .. format.max_magnitude(). `magnitude` is not negative and not a NaN.
AFP_HD constexpr std::uint32_t encode_magnitude(Format format, float magnitude) {
  const int m = format.mantissa_bits;
  const float min_normal = exp2_int(format.min_normal_exponent());
  if (magnitude < min_normal) {
    // Adding 2^23 steps leaves the number of steps, rounded to nearest even, in the low bits.
    const float shifter = exp2_int(format.step_exponent() + 23);
    return float_bits(magnitude + shifter) - float_bits(shifter);
  }
  // Half a step minus one, plus the last kept bit: a carry out of the mantissa is the next binade.
  // (With M = 0 the last kept bit is the exponent's, whose parity is the code's: 127 - bias is even
  // for E >= 2, and the only normal code of E1M0 is its largest.)
  std::uint32_t bits = float_bits(magnitude);
  bits += (1u << (22 - m)) - 1 + ((bits >> (23 - m)) & 1);
  const std::uint32_t code = (bits >> (23 - m)) - (static_cast<std::uint32_t>(127 - format.bias()) << m);
  return code < format.max_magnitude() ? code : format.max_magnitude();
}

// The code of y, sign included: y >= 0, -0.0 and negative values alike. NaN is not a value.
AFP_HD constexpr std::uint32_t encode(Format format, float y) {
  const std::uint32_t sign = float_bits(y) >> 31;
  const float magnitude = bits_float(float_bits(y) & 0x7FFFFFFFu);
  return (sign << (format.bits() - 1)) | encode_magnitude(format, magnitude);
}

// The value of a code, exact. Code 100..0 is -0.0.
AFP_HD constexpr float decode(Format format, std::uint32_t code) {
  const int m = format.mantissa_bits;
  const std::uint32_t magnitude = code & format.max_magnitude();
  const std::uint32_t exponent = magnitude >> m;
  const float value =
      exponent == 0
          ? static_cast<float>(magnitude) * exp2_int(format.step_exponent())
          : bits_float(((exponent + 127 - format.bias()) << 23) | ((magnitude << (23 - m)) & 0x7FFFFFu));
  return bits_float(float_bits(value) | ((code >> (format.bits() - 1)) << 31));
}

// --- e8m0: a power of two --------------------------------------------------------------------

inline constexpr int kE8m0Bias = 127;
inline constexpr std::uint32_t kE8m0Invalid = 255;  // NaN in OCP MX; refused here

AFP_HD constexpr float e8m0_value(std::uint32_t byte) {
  return exp2_int(static_cast<int>(byte) - kE8m0Bias);
}

// The scale exponents x an encoder may choose: every value of the Format times 2^x is a finite
// float32, and every rounding threshold times 2^x is a boundary between keys of the magnitude
// histogram (a multiple of 2^-134, see statistics.hpp).
AFP_HD constexpr int min_scale_exponent(Format format) {
  const int lowest = format.bias() + format.mantissa_bits - 134;
  return lowest > -kE8m0Bias ? lowest : -kE8m0Bias;
}
AFP_HD constexpr int max_scale_exponent(Format format) {
  return 127 - format.max_exponent();
}

// --- ue4m3: the magnitude of an OCP E4M3 number; bit 7 chooses the block's Format --------------

inline constexpr std::uint32_t kUe4m3Max = 0x7E;  // 448; 0x7F is NaN in OCP E4M3, not used here
inline constexpr std::uint32_t kUe4m3Alternative = 0x80;

// The value of bits 0..6: e = bits >> 3, m = bits & 7; 2^(e-7) * (1 + m/8), or m * 2^-9 for e = 0.
AFP_HD constexpr float ue4m3_value(std::uint32_t bits) {
  return bits < 8 ? static_cast<float>(bits) * exp2_int(-9) : bits_float((bits << 20) + (120u << 23));
}

// 1 / s rounded to float32: exact for a power of two.
AFP_HD constexpr float scale_reciprocal(float scale) {
  return 1.0f / scale;
}

// The element types of checkpoints as float32, exact.
AFP_HD constexpr float bf16_to_float(std::uint16_t bits) {
  return bits_float(static_cast<std::uint32_t>(bits) << 16);
}

AFP_HD constexpr float f16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7FFFu;
  if (magnitude >= 0x7C00u) return bits_float(sign | 0x7F800000u | ((magnitude & 0x3FFu) << 13));
  if (magnitude < 0x0400u)
    return bits_float(sign | float_bits(static_cast<float>(magnitude) * exp2_int(-24)));
  return bits_float(sign | ((magnitude << 13) + (112u << 23)));
}

// float32 to the nearest bf16, ties to even; a finite value beyond the largest bf16 saturates.
AFP_HD constexpr std::uint16_t float_to_bf16(float value) {
  const std::uint32_t bits = float_bits(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16;
  const std::uint32_t largest = 0x7F7Fu;
  return static_cast<std::uint16_t>((rounded & 0x7FFFu) > largest ? (rounded & 0x8000u) | largest : rounded);
}

// float32 to the nearest fp16, ties to even; a finite value beyond 65504 saturates.
AFP_HD constexpr std::uint16_t float_to_f16(float value) {
  const std::uint32_t sign = (float_bits(value) >> 16) & 0x8000u;
  const std::uint32_t bits = float_bits(value) & 0x7FFFFFFFu;
  const std::uint32_t largest = 0x7BFFu;
  if (bits < (113u << 23)) {  // below 2^-14: steps of 2^-24
    const float shifter = exp2_int(-1);
    return static_cast<std::uint16_t>(sign | (float_bits(bits_float(bits) + shifter) - float_bits(shifter)));
  }
  const std::uint32_t rounded = ((bits + 0xFFFu + ((bits >> 13) & 1)) >> 13) - (112u << 10);
  return static_cast<std::uint16_t>(sign | (rounded > largest ? largest : rounded));
}

}  // namespace afp
