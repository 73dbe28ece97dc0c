// Element types and sizes: the table of types, products that do not fit, bits that fill no whole byte.
#include "afp/tensor.hpp"

#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "expect_error.hpp"

namespace afp {
namespace {

constexpr int kTypes = 22;

TEST(DType, NamesAreReadBack) {
  for (int i = 0; i < kTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype) << i;
  }
  EXPECT_EQ(parse_dtype("BF16"), DType::BF16);
  EXPECT_EQ(parse_dtype("bf16"), std::nullopt);
  EXPECT_EQ(parse_dtype("BF16 "), std::nullopt);
  EXPECT_EQ(parse_dtype(""), std::nullopt);
}

// The first number in a type's name is its width, but for F8_* and F6_* (same rule) and BOOL.
TEST(DType, BitsAreThoseOfTheName) {
  for (int i = 0; i < kTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    const std::string name(dtype_name(dtype));
    const std::size_t digit = name.find_first_of("0123456789");
    EXPECT_EQ(dtype_bits(dtype), digit == std::string::npos ? 8 : std::stoi(name.substr(digit))) << name;
  }
}

TEST(DType, FourAreQuantizable) {
  std::string quantizable;
  for (int i = 0; i < kTypes; ++i) {
    if (is_quantizable(static_cast<DType>(i)))
      quantizable += std::string(dtype_name(static_cast<DType>(i))) + " ";
  }
  EXPECT_EQ(quantizable, "F16 BF16 F32 F64 ");
}

TEST(Shape, ElementCount) {
  EXPECT_EQ(element_count({}), 1u);
  EXPECT_EQ(element_count({7}), 7u);
  EXPECT_EQ(element_count({2, 0, 5}), 0u);
  EXPECT_EQ(element_count({std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1}), 0xffffffff00000000u);
  expect_error<InputError>(
      [] {
        element_count({std::uint64_t{1} << 32, std::uint64_t{1} << 32});
      },
      "shape [4294967296, 4294967296] has more elements than 64 bits can count");
}

TEST(Shape, Text) {
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(to_string(Shape{64, 3, 7, 7}), "[64, 3, 7, 7]");
  EXPECT_EQ(to_string(Shape(16, 1)), "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]");
  EXPECT_EQ(to_string(Shape(17, 1)), "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ...]");
}

TEST(Shape, ByteSize) {
  EXPECT_EQ(byte_size(DType::F32, {}), 4u);
  EXPECT_EQ(byte_size(DType::BF16, {3, 5}), 30u);
  EXPECT_EQ(byte_size(DType::F4, {2, 3}), 3u);
  EXPECT_EQ(byte_size(DType::F6_E2M3, {4}), 3u);
  EXPECT_EQ(byte_size(DType::F64, {0}), 0u);
  EXPECT_EQ(byte_size(DType::U8, {(std::uint64_t{1} << 61) - 1}), (std::uint64_t{1} << 61) - 1);
  expect_error<InputError>([] { byte_size(DType::F4, {3}); }, "shape [3] of F4 does not fill whole bytes");
  expect_error<InputError>([] { byte_size(DType::U8, {std::uint64_t{1} << 61}); },
                           "shape [2305843009213693952] of U8 has more bits than 64 bits can count");
}

}  // namespace
}  // namespace afp
