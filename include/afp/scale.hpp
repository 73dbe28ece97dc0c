// Scale: which scales a block may get. Host/device neutral: the definition behind every search for
// a block's scale.
//
// s0 is the smallest scale under which a block's largest magnitude does not clip. The scale of
// least squared error lies below 2 s0: from there on, halving a scale keeps every value that a
// weight could be rounded to. (The smallest ue4m3 scales, multiples of one step, are the exception: odd
// ones have no half, and up to the end of the first normal octave they are all scanned.) Scales are scanned
// from the largest below 2 s0 downward, until the error of the clipped weights alone exceeds the best total
// so far. Ties go to the larger scale, then to the first Format. A block of zeros has scale byte 0.
#pragma once

#include <cstdint>

#include "afp/codec.hpp"

namespace afp {

// What the search for an e8m0 exponent needs to know of a Format.
struct ScaleExponents {
  ScaleExponents() = default;
  AFP_HD constexpr explicit ScaleExponents(Format format)
      : max_exponent(format.max_exponent()),
        max_mantissa(float_bits(format.max_value()) & 0x7FFFFFu),
        lowest(min_scale_exponent(format)),
        highest(max_scale_exponent(format)) {}

  std::int32_t max_exponent = 0;   // of the largest value
  std::uint32_t max_mantissa = 0;  // the bits behind its leading one, as in float32
  std::int32_t lowest = 0, highest = 0;
};

// The e8m0 exponent of s0: the smallest x with format.max_value() * 2^x >= absmax, within
// min_scale_exponent .. max_scale_exponent. absmax > 0. (2^(x+1) being 2 s0, the scan starts here.)
AFP_HD constexpr int e8m0_first_exponent(const ScaleExponents& format, float absmax) {
  int offset = 0;
  if (absmax < exp2_int(-126)) {
    absmax *= exp2_int(64);
    offset = -64;
  }
  const std::uint32_t bits = float_bits(absmax);
  const bool above = (bits & 0x7FFFFFu) > format.max_mantissa;
  const int x = static_cast<int>(bits >> 23) - 127 + offset - format.max_exponent + (above ? 1 : 0);
  return x < format.lowest ? format.lowest : x > format.highest ? format.highest : x;
}
AFP_HD constexpr int e8m0_first_exponent(Format format, float absmax) {
  return e8m0_first_exponent(ScaleExponents(format), absmax);
}

// The tensor's scale under ue4m3: the smallest 2^k with s0 <= 224 * 2^k for every block, so that
// every scale below 2 s0 is at most 448 * 2^k. `smallest_max` is the least max_value() among the
// Encoding's Formats, absmax the tensor's. 2^-117 at least: the reciprocal of every block scale is
// a finite float32 then. 1 for a tensor of zeros.
inline constexpr int kMinTensorScaleExponent = -117;
AFP_HD constexpr float ue4m3_tensor_scale(float smallest_max, float absmax) {
  if (absmax == 0.0f) return 1.0f;
  int k = kMinTensorScaleExponent;
  // 224 * max * 2^k is exact in double, whose range also holds every product.
  while (224.0 * smallest_max * static_cast<double>(exp2_int(k)) < static_cast<double>(absmax)) ++k;
  return exp2_int(k);
}

// The byte (bits 0..6) of s0 under ue4m3: the smallest one >= 1 with max_value() * value >= absmax,
// both relative to the tensor's scale; `relative_absmax` = absmax / tensor_scale > 0. At most 0x7E.
// `inverse_max` is 1 / max_value, rounded: it leads to the byte or next to it, the comparison decides.
AFP_HD constexpr std::uint32_t ue4m3_first(float max_value, float inverse_max, float relative_absmax) {
  const float target = relative_absmax * inverse_max;
  if (!(target < ue4m3_value(kUe4m3Max))) return kUe4m3Max;
  std::uint32_t byte = target < exp2_int(-6) ? static_cast<std::uint32_t>(target * 512.0f) + 1
                                             : (float_bits(target) - (120u << 23) + 0xFFFFFu) >> 20;
  if (byte > 1 && max_value * ue4m3_value(byte - 1) >= relative_absmax) return byte - 1;
  if (max_value * ue4m3_value(byte) < relative_absmax && byte < kUe4m3Max) return byte + 1;
  return byte;
}
AFP_HD constexpr std::uint32_t ue4m3_first(Format format, float relative_absmax) {
  return ue4m3_first(format.max_value(), 1.0f / format.max_value(), relative_absmax);
}

// The byte that the scan begins with: the largest whose value is below twice that of `first`, and not before
// the last that has no half.
inline constexpr std::uint32_t kUe4m3LastWithoutHalf = 15;
AFP_HD constexpr std::uint32_t ue4m3_scan_top(std::uint32_t first) {
  const std::uint32_t top = first < 8 ? kUe4m3LastWithoutHalf : first + 7;
  return top < kUe4m3Max ? top : kUe4m3Max;
}

}  // namespace afp
