// Packing against an oracle that moves one bit at a time.
#include "afp/packing.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "afp/format.hpp"
#include "sample.hpp"

namespace afp {
namespace {

__extension__ using Wide = unsigned __int128;

// Bit b of code i is bit i * N + b of the row.
std::vector<std::uint8_t> pack_bits(const std::vector<std::uint32_t>& codes, int bits) {
  std::vector<std::uint8_t> row((codes.size() * static_cast<std::size_t>(bits) + 7) / 8);
  for (std::size_t i = 0; i < codes.size(); ++i)
    for (int b = 0; b < bits; ++b) {
      const std::size_t at = i * static_cast<std::size_t>(bits) + static_cast<std::size_t>(b);
      if (codes[i] >> b & 1) row[at / 8] = static_cast<std::uint8_t>(row[at / 8] | 1u << at % 8);
    }
  return row;
}

std::vector<std::uint32_t> random_codes(std::size_t count, int bits, std::uint64_t seed) {
  std::vector<std::uint32_t> codes(count);
  for (std::size_t i = 0; i < count; ++i)
    codes[i] = static_cast<std::uint32_t>(sample::bits(seed, i) & ((1u << bits) - 1));
  return codes;
}

TEST(Packing, EveryCodeAtEveryPosition) {
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (std::size_t position = 0; position < 33; ++position)
      for (std::uint32_t code = 0; code < (1u << bits); ++code) {
        std::vector<std::uint32_t> codes(33);
        codes[position] = code;
        std::vector<std::uint8_t> row(packed_bytes(codes.size(), bits));
        pack_code(row.data(), position, bits, code);
        ASSERT_EQ(row, pack_bits(codes, bits)) << bits << " bits, position " << position << ", code " << code;
        for (std::size_t i = 0; i < codes.size(); ++i) ASSERT_EQ(unpack_code(row.data(), i, bits), codes[i]);
      }
}

TEST(Packing, RowsOfAnyLengthRoundTripAndEndInZeroBits) {
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (std::size_t count = 0; count <= 130; ++count) {
      const std::vector<std::uint32_t> codes =
          random_codes(count, bits, count + 1000 * static_cast<std::uint64_t>(bits));
      std::vector<std::uint8_t> row(packed_bytes(count, bits));  // no byte more: sanitizers see a step beyond
      for (std::size_t i = 0; i < count; ++i) pack_code(row.data(), i, bits, codes[i]);
      ASSERT_EQ(row, pack_bits(codes, bits)) << bits << " bits, " << count << " codes";
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(unpack_code(row.data(), i, bits), codes[i]);
    }
}

TEST(Packing, TheExampleOfThreeBits) {
  std::vector<std::uint8_t> row(3);
  for (std::uint32_t i = 0; i < 8; ++i) pack_code(row.data(), i, 3, i);
  EXPECT_EQ(row, (std::vector<std::uint8_t>{0b10'001'000, 0b1'100'011'0, 0b111'110'10}));
}

TEST(Packing, SizesAreTheCodesRoundedUpToBytes) {
  for (int bits = kMinBits; bits <= kMaxBits; ++bits) {
    const auto n = static_cast<Wide>(bits);
    for (const std::uint64_t base : {std::uint64_t{0}, std::uint64_t{1} << 32, std::uint64_t{1} << 40,
                                     std::uint64_t{1} << 63, ~std::uint64_t{0} - 40})
      for (std::uint64_t count = base; count < base + 40; ++count) {
        const auto expected = (static_cast<Wide>(count) * n + 7) / 8;
        ASSERT_TRUE(packed_bytes(count, bits) == expected) << bits << " bits, " << count << " codes";
      }
    EXPECT_EQ(packed_bytes(32, bits), 4u * static_cast<unsigned>(bits));  // 32 codes are N words
  }
}

}  // namespace
}  // namespace afp
