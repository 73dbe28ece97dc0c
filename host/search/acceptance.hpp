// The rule by which annealing takes a move: always where it costs nothing or less, else with the odds that
// the temperature gives. Only + - * / decide, so that every machine decides alike.
#pragma once

#include <cstdint>

#include "afp/hd.hpp"

namespace afp::search_detail {

// log2 of a positive normal number, to within 1e-15 of its magnitude or of 1. With m in [sqrt(1/2), sqrt(2)):
// log2(2^e m) = e + 2 / ln 2 * (s + s^3 / 3 + s^5 / 5 + ...), s = (m - 1) / (m + 1), |s| < 0.1716.
AFP_HD inline double log2_of(double x) {
  const std::uint64_t bits = __builtin_bit_cast(std::uint64_t, x);
  std::int64_t exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
  if (m >= 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double series = 1.0 / 19.0;
  series = series * z + 1.0 / 17.0;
  series = series * z + 1.0 / 15.0;
  series = series * z + 1.0 / 13.0;
  series = series * z + 1.0 / 11.0;
  series = series * z + 1.0 / 9.0;
  series = series * z + 1.0 / 7.0;
  series = series * z + 1.0 / 5.0;
  series = series * z + 1.0 / 3.0;
  series = series * z + 1.0;
  return static_cast<double>(exponent) + 2.8853900817779268 * s * series;
}

// `uniform` in (0, 1).
AFP_HD inline bool accepts(double delta, double temperature, double uniform) {
  return delta <= 0.0 || delta < -temperature * log2_of(uniform);
}

}  // namespace afp::search_detail
