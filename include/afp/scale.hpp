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

// The e8m0 exponent of s0: the smallest x with format.max_value() * 2^x >= absmax, within
// min_scale_exponent .. max_scale_exponent. absmax > 0. (2^(x+1) being 2 s0, the scan starts here.)
AFP_HD constexpr int e8m0_first_exponent(Format format, float absmax) {
  int offset = 0;
  if (absmax < exp2_int(-126)) {
    absmax *= exp2_int(64);
    offset = -64;
  }
  const std::uint32_t bits = float_bits(absmax);
  const bool above = (bits & 0x7FFFFFu) > (float_bits(format.max_value()) & 0x7FFFFFu);
  const int x = static_cast<int>(bits >> 23) - 127 + offset - format.max_exponent() + (above ? 1 : 0);
  const int lowest = min_scale_exponent(format), highest = max_scale_exponent(format);
  return x < lowest ? lowest : x > highest ? highest : x;
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
AFP_HD constexpr std::uint32_t ue4m3_first(Format format, float relative_absmax) {
  std::uint32_t low = 1, high = kUe4m3Max;
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    if (format.max_value() * ue4m3_value(middle) >= relative_absmax)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

// The byte that the scan begins with: the largest whose value is below twice that of `first`, and not before
// the last that has no half.
inline constexpr std::uint32_t kUe4m3LastWithoutHalf = 15;
AFP_HD constexpr std::uint32_t ue4m3_scan_top(std::uint32_t first) {
  const std::uint32_t top = first < 8 ? kUe4m3LastWithoutHalf : first + 7;
  return top < kUe4m3Max ? top : kUe4m3Max;
}

}  // namespace afp
