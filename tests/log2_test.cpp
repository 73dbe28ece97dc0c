// The portable logarithm and power against long double's.
#include "afp/log2.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "sample.hpp"

namespace afp {
namespace {

constexpr long double kTolerance = 1e-15L;  // relative

void expect_log2(double x) {
  const long double expected = std::log2(static_cast<long double>(x));
  EXPECT_LE(std::fabs(portable_log2(x) - expected), kTolerance * std::fabs(expected)) << x;
}

TEST(PortableLog2, IsExactForPowersOfTwo) {
  for (int k = -1022; k <= 1023; ++k) EXPECT_EQ(portable_log2(std::ldexp(1.0, k)), k);
}

TEST(PortableLog2, IsAccurateEverywhere) {
  const std::uint64_t count = sample::kSlow ? 20'000 : 500'000;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double significand = 1.0 + sample::uniform(1, i);
    expect_log2(significand);
    expect_log2(significand / 2);
    expect_log2(std::ldexp(significand, static_cast<int>(sample::bits(2, i) % 2044) - 1022));
  }
}

TEST(PortableLog2, IsAccurateNearOneAndWhereTheExponentChanges) {
  for (const double centre : {1.0, std::sqrt(0.5), std::sqrt(2.0), 2.0, 0.5})
    for (const double direction : {0.0, 4.0}) {
      double x = centre;
      for (int i = 0; i < 200; ++i) expect_log2(x = std::nextafter(x, direction));
    }
  for (int k = 1; k <= 52; ++k) {
    expect_log2(1.0 + std::ldexp(1.0, -k));
    expect_log2(1.0 - std::ldexp(1.0, -k - 1));
  }
  expect_log2(0x1p-1022);
  expect_log2(0x1.fffffffffffffp1023);
}

TEST(PortableExp2, IsExactForWholeNumbers) {
  for (int k = -1000; k <= 1000; ++k) EXPECT_EQ(portable_exp2(k), std::ldexp(1.0, k));
}

TEST(PortableExp2, IsAccurateEverywhere) {
  const std::uint64_t count = sample::kSlow ? 20'000 : 500'000;
  for (std::uint64_t i = 0; i < count; ++i)
    for (const double x : {sample::uniform(3, i), 20 * sample::uniform(4, i) - 10}) {
      const long double expected = std::exp2(static_cast<long double>(x));
      ASSERT_LE(std::fabs(portable_exp2(x) - expected), kTolerance * expected) << x;
    }
}

TEST(PortableLog2, WorksInConstantExpressions) {
  static_assert(portable_log2(8.0) == 3.0);
  static_assert(portable_exp2(-2.0) == 0.25);
}

}  // namespace
}  // namespace afp
