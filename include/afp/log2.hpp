// Logarithm and power of two from + - * / alone, so that every device computes the same bits. Host/device
// neutral.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/hd.hpp"

namespace afp {

// x = 2^k m with m in [sqrt(1/2), sqrt(2)); with s = (m - 1) / (m + 1), ln(m) = 2 (s + s^3/3 + s^5/5 + ...),
// |s| < 0.172.
struct Log2Series {
  static constexpr std::int64_t kSqrtHalf = 0x3FE6A09E667F3BCD;  // bits
  static constexpr double kTwoOverLn2 = 0x1.71547652b82fep+1, kTwoOverLn2Rest = 0x1.777d0ffda0d24p-55;
  static constexpr std::size_t kCount = 10;  // terms after s, the last one first
  AFP_HD static constexpr double term(std::size_t i) {
    constexpr double terms[kCount] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                      1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
    return terms[i];
  }
};

// log2(x) of a positive, normal, finite x; relative error below 1e-15 (near 1 too, where the logarithm is
// small), exact for powers of two.
AFP_HD constexpr double portable_log2(double x) {
  const auto bits = __builtin_bit_cast(std::int64_t, x);
  const std::int64_t k = (bits - Log2Series::kSqrtHalf) >> 52;
  const double m = __builtin_bit_cast(double, bits - k * (std::int64_t{1} << 52));
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double tail = Log2Series::term(0);
  for (std::size_t i = 1; i < Log2Series::kCount; ++i) tail = tail * z + Log2Series::term(i);
  const double small = s * (Log2Series::kTwoOverLn2 * (z * tail) + Log2Series::kTwoOverLn2Rest);
  return static_cast<double>(k) + (Log2Series::kTwoOverLn2 * s + small);
}

// 2^x for |x| <= 1000; relative error below 1e-15, exact for whole x. x = k + f with |f| <= 1/2, and e^(f ln
// 2) by its series.
AFP_HD constexpr double portable_exp2(double x) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  const auto k = static_cast<std::int64_t>(x < 0.0 ? x - 0.5 : x + 0.5);
  const double t = (x - static_cast<double>(k)) * kLn2;
  double sum = 1.0;
  for (int i = 14; i >= 1; --i) sum = 1.0 + t / i * sum;
  return sum * __builtin_bit_cast(double, static_cast<std::uint64_t>(1023 + k) << 52);
}

}  // namespace afp
