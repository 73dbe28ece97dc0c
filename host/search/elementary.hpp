// Functions of a real number that decide what a solver does, of + - * / alone: no two machines differ in
// them.
#pragma once

#include <cstdint>

#include "afp/log2.hpp"

namespace afp::search_detail {

inline double natural_log(double x) {
  return 0.6931471805599453 * portable_log2(x);
}

// e^x to within some 1e-15 of itself: 2^n times the series of e^r, |r| <= ln 2 / 2. 0 below the normal
// numbers.
inline double exponential(double x) {
  if (x < -708.0) return 0.0;
  if (x > 709.0) x = 709.0;
  const double scaled = x * 1.4426950408889634;
  const auto n = static_cast<std::int64_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
  const double r = (x - static_cast<double>(n) * 0.693147180369123816490) -
                   static_cast<double>(n) * 1.90821492927058770002e-10;  // ln 2 in two parts
  double series = 1.0;
  for (int term = 14; term > 0; --term) series = 1.0 + series * r / term;
  return series * __builtin_bit_cast(double, static_cast<std::uint64_t>(n + 1023) << 52);
}

// P(Z <= z) of a standard normal Z, to within 1.2e-7 of itself or of 1: the fit of erfc in Press et al.,
// "Numerical Recipes", 2nd edition, 6.2.
inline double normal_below(double z) {
  const double x = (z < 0.0 ? -z : z) * 0.7071067811865476;
  const double t = 1.0 / (1.0 + 0.5 * x);
  double fit = 0.17087277;
  for (const double c : {-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
                         0.37409196, 1.00002368, -1.26551223})
    fit = fit * t + c;
  const double tail = 0.5 * t * exponential(fit - x * x);
  return z < 0.0 ? tail : 1.0 - tail;
}

}  // namespace afp::search_detail
