// The codec against the oracle: every code, every threshold, every 16-bit source value, and float32 samples.
#include "afp/codec.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "reference.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using reference::Grid;
using reference::Real;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float next_up(float x) {
  return std::nextafter(x, kInfinity);
}
float next_down(float x) {
  return std::nextafter(x, -kInfinity);
}

// Both signs of a magnitude.
void expect_encoded(Format format, const Grid& grid, float magnitude) {
  ASSERT_EQ(encode_magnitude(format, magnitude), grid.nearest(magnitude))
      << to_string(format) << " " << magnitude;
  ASSERT_EQ(encode(format, magnitude), grid.encode(magnitude)) << to_string(format) << " " << magnitude;
  ASSERT_EQ(encode(format, -magnitude), grid.encode(-magnitude)) << to_string(format) << " " << -magnitude;
}

TEST(Codec, EveryCodeHasTheValueOfTheFormulaAndIsItsCode) {
  for (const Format format : reference::all_formats())
    for (std::uint32_t code = 0; code < (1u << format.bits()); ++code) {
      const float value = decode(format, code);
      ASSERT_EQ(value, reference::value(format, code)) << to_string(format) << " code " << code;
      ASSERT_EQ(std::signbit(value), code >> (format.bits() - 1) == 1)
          << to_string(format) << " code " << code;
      ASSERT_EQ(encode(format, value), code) << to_string(format);
    }
}

TEST(Codec, RoundsAtEveryThresholdAndValueAndOneUlpAround) {
  for (const Format format : reference::all_formats()) {
    const Grid grid(format);
    for (std::uint32_t code = 0; code < grid.size(); ++code) {
      std::vector<Real> points = {grid[code]};
      if (code + 1 < grid.size()) points.push_back((grid[code] + grid[code + 1]) / 2);
      for (const Real point : points) {
        const auto exact = static_cast<float>(point);
        ASSERT_EQ(exact, point);
        expect_encoded(format, grid, exact);
        expect_encoded(format, grid, next_up(exact));
        if (exact > 0) expect_encoded(format, grid, next_down(exact));
      }
    }
  }
}

TEST(Codec, TiesGoToTheEvenCode) {
  for (const Format format : reference::all_formats())
    for (std::uint32_t code = 0; code < format.max_magnitude(); ++code) {
      const float middle = (decode(format, code) + decode(format, code + 1)) / 2;
      EXPECT_EQ(encode(format, middle) % 2, 0u) << to_string(format) << " " << middle;
    }
}

TEST(Codec, Saturates) {
  for (const Format format : reference::all_formats()) {
    const std::uint32_t largest = format.max_magnitude(), sign = 1u << (format.bits() - 1);
    const float step = format.max_value() - decode(format, largest - 1);
    for (const float beyond :
         {next_up(format.max_value()), format.max_value() + step / 2, format.max_value() + step,
          2 * format.max_value(), std::numeric_limits<float>::max(), kInfinity}) {
      EXPECT_EQ(encode(format, beyond), largest) << to_string(format) << " " << beyond;
      EXPECT_EQ(encode(format, -beyond), largest | sign) << to_string(format) << " " << -beyond;
    }
  }
}

TEST(Codec, ZerosAndSubnormalsKeepTheirSign) {
  for (const Format format : reference::all_formats()) {
    const std::uint32_t sign = 1u << (format.bits() - 1);
    for (const float tiny : {0.0f, 0x1p-149f, 0x1p-127f, 0x1.fffffep-127f, 0x1p-126f}) {
      EXPECT_EQ(encode(format, tiny), 0u) << to_string(format);
      EXPECT_EQ(encode(format, -tiny), sign) << to_string(format);
    }
  }
}

TEST(Codec, EveryFiniteBf16AndFp16Pattern) {
  for (const Format format : reference::all_formats()) {
    const Grid grid(format);
    for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
      const auto half = static_cast<std::uint16_t>(bits);
      if (bits < 0x7F80) expect_encoded(format, grid, bf16_to_float(half));
      if (bits < 0x7C00) expect_encoded(format, grid, f16_to_float(half));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Codec, LargeFloat32Sample) {
  const std::uint64_t count = sample::kSlow ? 10'000 : 150'000;
  for (const Format format : reference::all_formats()) {
    const Grid grid(format);
    const std::uint64_t seed = 100 * format.exponent_bits + format.mantissa_bits;
    for (std::uint64_t i = 0; i < count; ++i) {
      // Any pattern; and magnitudes around the Format's range, where the thresholds are.
      const auto any = static_cast<std::uint32_t>(sample::bits(seed, 2 * i) & 0x7FFFFFFFu);
      if (any < 0x7F800000u) expect_encoded(format, grid, bits_float(any));
      const int octave =
          format.step_exponent() - 2 +
          static_cast<int>(sample::bits(seed, 2 * i) %
                           static_cast<unsigned>(format.max_exponent() - format.step_exponent() + 4));
      expect_encoded(format, grid,
                     static_cast<float>(std::ldexp(1 + sample::uniform(seed, 2 * i + 1), octave)));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ScaleByte, E8m0IsAPowerOfTwo) {
  for (std::uint32_t byte = 0; byte <= 254; ++byte) {
    EXPECT_EQ(e8m0_value(byte), std::pow(2.0L, static_cast<int>(byte) - 127)) << byte;
    EXPECT_EQ(scale_reciprocal(e8m0_value(byte)), std::pow(2.0L, 127 - static_cast<int>(byte))) << byte;
  }
}

TEST(ScaleByte, Ue4m3IsAnE4m3Magnitude) {
  for (std::uint32_t byte = 0; byte <= kUe4m3Max; ++byte) {
    EXPECT_EQ(ue4m3_value(byte), reference::scale_value(ScaleKind::ue4m3, byte, 1.0f)) << byte;
    EXPECT_EQ(ue4m3_value(byte), decode(Format{4, 3}, byte)) << byte;
    if (byte > 0) {
      EXPECT_EQ(scale_reciprocal(ue4m3_value(byte)),
                static_cast<float>(1 / reference::scale_value(ScaleKind::ue4m3, byte, 1.0f)));
      EXPECT_LT(ue4m3_value(byte - 1), ue4m3_value(byte));
    }
  }
  EXPECT_EQ(ue4m3_value(kUe4m3Max), 448.0f);
}

TEST(ScaleByte, ExponentRangeKeepsValuesFiniteAndThresholdsOnKeys) {
  const auto fits = [](Format format, int x) {
    const Grid grid(format);
    const Real scale = std::ldexp(Real{1}, x);
    return x >= -127 && x <= 127 && grid.largest() * scale < std::ldexp(Real{1}, 128) &&
           grid[1] / 2 * scale >= std::ldexp(Real{1}, -134);
  };
  for (const Format format : reference::all_formats())
    for (int x = -127; x <= 127; ++x)
      EXPECT_EQ(fits(format, x), x >= min_scale_exponent(format) && x <= max_scale_exponent(format))
          << to_string(format) << " " << x;
}

// --- the tables of the OCP specification and of NVFP4 -------------------------------------------

TEST(Ocp, E2m1IsTheElementOfMxfp4AndNvfp4) {
  const float values[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  for (std::uint32_t code = 0; code < 8; ++code) {
    EXPECT_EQ(decode(Format{2, 1}, code), values[code]);
    EXPECT_EQ(decode(Format{2, 1}, code | 8), -values[code]);
  }
}

TEST(Ocp, E2m3AndE3m2AreTheElementsOfMxfp6) {
  // E2M3: bias 1, largest 7.5, smallest 0.125. E3M2: bias 3, largest 28, smallest 0.0625.
  for (std::uint32_t code = 0; code < 32; ++code) {
    const std::uint32_t e2 = code >> 3, m3 = code & 7, e3 = code >> 2, m2 = code & 3;
    EXPECT_EQ(decode(Format{2, 3}, code),
              e2 == 0 ? static_cast<float>(m3) / 8.0f : static_cast<float>((8 + m3) << (e2 - 1)) / 8.0f);
    EXPECT_EQ(decode(Format{3, 2}, code),
              e3 == 0 ? static_cast<float>(m2) / 16.0f : static_cast<float>((4 + m2) << (e3 - 1)) / 16.0f);
  }
  EXPECT_EQ((Format{2, 3}).max_value(), 7.5f);
  EXPECT_EQ((Format{3, 2}).max_value(), 28.0f);
}

class OtherImplementation : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(AFP_TEST_DATA "/golden/formats.json");
    ASSERT_TRUE(file);
    golden = nlohmann::json::parse(file);
  }
  const std::vector<std::pair<std::string, Format>> elements = {{"float4_e2m1fn", {2, 1}},
                                                                {"float6_e2m3fn", {2, 3}},
                                                                {"float6_e3m2fn", {3, 2}},
                                                                {"float8_e4m3fn", {4, 3}}};
  nlohmann::json golden;
};

TEST_F(OtherImplementation, HasTheSameElementTables) {
  for (const auto& [name, format] : elements) {
    const auto& table = golden.at("tables").at(name);
    ASSERT_EQ(table.size(), std::size_t{1} << format.bits());
    for (std::uint32_t code = 0; code < table.size(); ++code) {
      if (table[code].is_null()) {
        EXPECT_EQ(code & 0x7F, 0x7Fu) << name;  // E4M3's NaN is a number here
        continue;
      }
      EXPECT_EQ(float_bits(decode(format, code)), table[code].get<std::uint32_t>()) << name << " " << code;
    }
  }
}

TEST_F(OtherImplementation, HasTheSameScaleTables) {
  const auto& e8m0 = golden.at("tables").at("float8_e8m0fnu");
  const auto& e4m3 = golden.at("tables").at("float8_e4m3fn");
  for (std::uint32_t byte = 0; byte < 255; ++byte)
    EXPECT_EQ(float_bits(e8m0_value(byte)), e8m0[byte].get<std::uint32_t>());
  EXPECT_TRUE(e8m0[kE8m0Invalid].is_null());
  for (std::uint32_t byte = 0; byte <= kUe4m3Max; ++byte)
    EXPECT_EQ(float_bits(ue4m3_value(byte)), e4m3[byte].get<std::uint32_t>());
  EXPECT_TRUE(e4m3[kUe4m3Max + 1].is_null());
}

TEST_F(OtherImplementation, RoundsAlike) {
  const auto inputs = golden.at("inputs").get<std::vector<std::uint32_t>>();
  ASSERT_GT(inputs.size(), 3000u);
  for (const auto& [name, format] : elements) {
    const auto codes = golden.at("codes").at(name).get<std::vector<std::uint32_t>>();
    ASSERT_EQ(codes.size(), inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      ASSERT_EQ(encode(format, bits_float(inputs[i])), codes[i]) << name << " " << bits_float(inputs[i]);
  }
}

// --- the checkpoint's element types -------------------------------------------------------------

// The value of a 16-bit pattern with the given number of mantissa bits and bias.
Real half_value(std::uint32_t bits, int mantissa_bits, int bias) {
  const auto mantissa = static_cast<int>(bits & ((1u << mantissa_bits) - 1));
  const auto exponent = static_cast<int>((bits & 0x7FFF) >> mantissa_bits);
  const Real fraction = std::ldexp(Real(mantissa), -mantissa_bits);
  const Real magnitude =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return bits & 0x8000 ? -magnitude : magnitude;
}

struct HalfType {
  const char* name;
  int mantissa_bits, bias;
  std::uint32_t infinity;
  float (*widen)(std::uint16_t);
  std::uint16_t (*narrow)(float);
};
const HalfType kHalves[] = {{"bf16", 7, 127, 0x7F80, bf16_to_float, float_to_bf16},
                            {"fp16", 10, 15, 0x7C00, f16_to_float, float_to_f16}};

TEST(HalfFloats, EveryPatternWidensExactlyAndComesBack) {
  for (const HalfType& type : kHalves)
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto half = static_cast<std::uint16_t>(bits);
      const float value = type.widen(half);
      const std::uint32_t magnitude = bits & 0x7FFF;
      ASSERT_EQ(std::signbit(value), bits >= 0x8000) << type.name << " " << bits;
      if (magnitude > type.infinity) {
        ASSERT_TRUE(std::isnan(value)) << type.name << " " << bits;
      } else if (magnitude == type.infinity) {
        ASSERT_TRUE(std::isinf(value)) << type.name << " " << bits;
      } else {
        ASSERT_EQ(value, half_value(bits, type.mantissa_bits, type.bias)) << type.name << " " << bits;
        ASSERT_EQ(type.narrow(value), half) << type.name;
      }
    }
}

TEST(HalfFloats, NarrowingRoundsToNearestEvenBetweenAllNeighbours) {
  for (const HalfType& type : kHalves)
    for (std::uint32_t bits = 0; bits + 1 < type.infinity; ++bits) {
      const Real low = half_value(bits, type.mantissa_bits, type.bias);
      const Real high = half_value(bits + 1, type.mantissa_bits, type.bias);
      const auto middle = static_cast<float>((low + high) / 2);
      ASSERT_EQ(middle, (low + high) / 2);
      const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
      for (const std::uint32_t sign : {0u, 0x8000u}) {
        const float s = sign ? -1.0f : 1.0f;
        ASSERT_EQ(type.narrow(s * middle), even | sign) << type.name << " " << bits;
        ASSERT_EQ(type.narrow(s * next_down(middle)), bits | sign) << type.name << " " << bits;
        ASSERT_EQ(type.narrow(s * next_up(middle)), (bits + 1) | sign) << type.name << " " << bits;
      }
    }
}

TEST(HalfFloats, NarrowingSaturates) {
  for (const HalfType& type : kHalves) {
    const std::uint32_t largest = type.infinity - 1;
    const float value = type.widen(static_cast<std::uint16_t>(largest));
    for (const float beyond : {next_up(value), std::numeric_limits<float>::max(), kInfinity}) {
      EXPECT_EQ(type.narrow(beyond), largest) << type.name << " " << beyond;
      EXPECT_EQ(type.narrow(-beyond), largest | 0x8000) << type.name << " " << -beyond;
    }
  }
}

}  // namespace
}  // namespace afp
