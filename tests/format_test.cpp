// Format: its derived numbers, its text, and the list of Formats of a number of bits.
#include "afp/format.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "afp/error.hpp"
#include "afp/hd.hpp"
#include "expect_error.hpp"
#include "reference.hpp"

namespace afp {
namespace {

TEST(Format, ThereAre28OfTwoToEightBits) {
  std::size_t count = 0;
  for (int bits = kMinBits; bits <= kMaxBits; ++bits) {
    const std::vector<Format> formats = formats_of(bits);
    ASSERT_EQ(formats.size(), static_cast<std::size_t>(bits - 1));
    for (std::size_t i = 0; i < formats.size(); ++i) {
      EXPECT_EQ(formats[i].exponent_bits, i + 1);
      EXPECT_EQ(formats[i].bits(), bits);
      EXPECT_TRUE(formats[i].valid());
    }
    count += formats.size();
  }
  EXPECT_EQ(count, 28u);
  EXPECT_EQ(reference::all_formats().size(), 28u);
}

TEST(Format, DerivedNumbersAreThoseOfItsValues) {
  for (const Format format : reference::all_formats()) {
    SCOPED_TRACE(to_string(format));
    const reference::Grid grid(format);
    EXPECT_EQ(format.max_magnitude() + 1, grid.size());
    EXPECT_EQ(format.max_value(), grid.largest());
    EXPECT_EQ(std::ldexp(1.0L, format.step_exponent()), grid[1]);
    EXPECT_EQ(std::ldexp(1.0L, format.min_normal_exponent()), grid[1u << format.mantissa_bits]);
    EXPECT_EQ(format.max_exponent(), std::ilogb(grid.largest()));
  }
}

TEST(Format, ValidNeedsOneExponentBitAndTwoToEightBits) {
  for (int e = 0; e < 10; ++e)
    for (int m = 0; m < 10; ++m) {
      const Format format{static_cast<std::uint8_t>(e), static_cast<std::uint8_t>(m)};
      EXPECT_EQ(format.valid(), e >= 1 && 1 + e + m >= 2 && 1 + e + m <= 8) << e << " " << m;
    }
}

TEST(Format, TextRoundTrips) {
  for (const Format format : reference::all_formats()) {
    const std::string text = std::string("E") + std::to_string(int{format.exponent_bits}) + "M" +
                             std::to_string(int{format.mantissa_bits});
    EXPECT_EQ(to_string(format), text);
    EXPECT_EQ(parse_format(text), format);
  }
}

TEST(Format, UniformGridsHaveAnotherName) {
  for (int m = 1; m <= 7; ++m)
    EXPECT_EQ(parse_format(std::string("E0M") + std::to_string(m)),
              (Format{1, static_cast<std::uint8_t>(m - 1)}));
}

TEST(Format, RejectsEverythingElse) {
  for (const std::string text : {"",
                                 "E",
                                 "E2",
                                 "E2M",
                                 "M1E2",
                                 "e2m1",
                                 "E2m1",
                                 "E2M10",
                                 "E10M1",
                                 " E2M1",
                                 "E2M1 ",
                                 "E2M1\n",
                                 "E-1M2",
                                 "E2+1",
                                 "E2M1M1",
                                 "int4",
                                 "E\xff"
                                 "M1",
                                 "ExM1",
                                 "E2Mx",
                                 "E2M:",
                                 "E/M1"})
    expect_error<UsageError>(
        [&] { parse_format(text); },
        "not a Format: '" + text + "'; expected E<exponent bits>M<mantissa bits>, as E2M1");
  const auto wrong_size = [](const std::string& text, int bits) {
    expect_error<UsageError>([&] { parse_format(text); },
                             "Format " + text + " has " + std::to_string(bits) +
                                 " bits with its sign; expected 2 to 8, at least one of them exponent");
  };
  wrong_size("E0M0", 1);
  for (int e = 0; e <= 9; ++e)
    for (int m = 0; m <= 9; ++m)
      if (e + m > 7) wrong_size(std::string("E") + std::to_string(e) + "M" + std::to_string(m), 1 + e + m);
}

TEST(Exp2Int, IsTheFloatForEveryExponent) {
  for (int x = -149; x <= 127; ++x) EXPECT_EQ(exp2_int(x), std::ldexp(1.0f, x)) << x;
}

}  // namespace
}  // namespace afp
