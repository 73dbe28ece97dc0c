// The definitions behind sums over keys: numbers of 128 bits, the slots of keys, the scan of scales.
#include "afp/key_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "afp/objective.hpp"
#include "afp/tensor_scale_scan.hpp"
#include "reference.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using reference::Real;

// The nearest double by the C library: a long double holds 64 bits, so what is above them is rounded to odd
// first.
double nearest_double(Uint128 value) {
  int shift = 0;
  while (value >> shift >= (static_cast<Uint128>(1) << 60)) ++shift;
  auto kept = static_cast<std::uint64_t>(value >> shift);
  if (static_cast<Uint128>(kept) << shift != value) kept |= 1;
  return static_cast<double>(std::ldexp(static_cast<Real>(kept), shift));
}

TEST(KeyTable, WideNumbersGoToTheNearestDouble) {
  std::uint64_t random = 0;
  for (int high = 0; high < 128; ++high)
    for (int low = 0; low <= high; ++low) {
      const Uint128 top = static_cast<Uint128>(1) << high, bottom = static_cast<Uint128>(1) << low;
      const Uint128 noise = static_cast<Uint128>(sample::bits(1, random)) << 64 | sample::bits(2, random);
      ++random;
      for (const Uint128 value : {top, top + bottom, top + bottom - 1, top - bottom, top - 1 + bottom,
                                  top | (noise & (bottom - 1)), noise >> (127 - high)})
        ASSERT_EQ(wide_to_double(value), nearest_double(value)) << high << " " << low;
    }
  EXPECT_EQ(wide_to_double(0), 0.0);
  EXPECT_EQ(wide_to_double(~static_cast<Uint128>(0)), 0x1p128);
  // Half way between two doubles, and the least above: the sticky bit is the lowest of 128.
  const Uint128 half = (static_cast<Uint128>(1) << 127) + (static_cast<Uint128>(1) << 74);
  EXPECT_EQ(wide_to_double(half), 0x1p127);
  EXPECT_EQ(wide_to_double(half + 1), 0x1.0000000000001p127);
}

// Mean and spread of the weights inside a key against those weights themselves.
TEST(KeyTable, SlotsHoldMeanAndSpread) {
  for (const std::uint32_t base : {0u, 0x00018000u, 0x3F808000u, 0x7F7F8000u})
    for (const std::uint64_t times : {std::uint64_t{1}, std::uint64_t{1} << 24})
      for (const int inside : {0, 1, 2, 300}) {
        Statistics::Key key{bits_float(base), key_step(DType::F32, base >> 15), 3, 3, 0, 0};
        std::vector<std::uint64_t> residues;
        for (int i = 0; i < inside; ++i)
          residues.push_back(1 + sample::bits(7, static_cast<std::uint64_t>(i)) % 32767);
        Real sum = 0, spread = 0;
        for (const std::uint64_t r : residues) {
          key.count += times;
          key.sum_r += times * r;
          key.sum_r2 += times * r * r;
          sum += static_cast<Real>(r);
        }
        const KeySlot slot = key_slot(key);
        EXPECT_EQ(slot.base, bits_float(base));
        EXPECT_EQ(slot.count_base, 3.0);
        EXPECT_EQ(slot.count_inside, static_cast<double>(times) * inside);
        if (inside == 0) {
          EXPECT_EQ(slot.mean, static_cast<double>(slot.base));
          EXPECT_EQ(slot.spread, 0.0);
          continue;
        }
        const Real mean = sum / inside, step = static_cast<Real>(key.step);
        for (const std::uint64_t r : residues)
          spread += (static_cast<Real>(r) - mean) * (static_cast<Real>(r) - mean) * static_cast<Real>(times);
        EXPECT_NEAR(static_cast<double>((static_cast<Real>(slot.mean) - static_cast<Real>(slot.base)) / step),
                    static_cast<double>(mean), 1e-7);
        EXPECT_LE(std::fabs(static_cast<Real>(slot.spread) - spread * step * step),
                  1e-15L * spread * step * step);
      }
}

// What a key's error says is what its weights lose, on and inside the key.
TEST(KeyTable, KeysStandForTheirMagnitudes) {
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32})
    for (std::size_t key = 0; key < (dtype == DType::F32   ? 0xFF00u
                                     : dtype == DType::F16 ? 0x7C00u
                                                           : 0x7F80u);
         ++key) {
      const float base = key_base(dtype, key);
      ASSERT_EQ(last_key_at(dtype, base), key);
      if (dtype != DType::F32) continue;
      ASSERT_EQ(static_cast<double>(base) + 32768.0 * static_cast<double>(key_step(dtype, key)),
                key + 1 < 0xFF00u ? static_cast<double>(key_base(dtype, key + 1)) : 0x1p128);
    }
}

// Scoring several scales ahead asks for none that taking them one by one would not name.
TEST(TensorScaleScan, ScalesAheadAreThoseAskedForNext) {
  for (const char* const text : {"E2M1/tensor/e8m0", "E4M3/tensor/e8m0", "E1M2+E2M1/tensor/ue4m3"})
    for (const float absmax : {0x1p-149f, 1e-38f, 0.3f, 448.0f, 3e38f}) {
      const BlockCodec codec = tensor_block_codec(block_codec({parse_encoding(text)}), absmax);
      TensorScaleScan scan(codec, absmax);
      int formats = 0;
      while (scan.left() > 0) {
        ++formats;
        std::vector<float> ahead;
        for (int i = 0; i < scan.left(); ++i) ahead.push_back(scan.value(i));
        EXPECT_TRUE(std::is_sorted(ahead.rbegin(), ahead.rend()));
        EXPECT_EQ(scan.format(), codec.formats[scan.format_index()]);
        const int format = scan.format_index();
        for (std::size_t i = 0; scan.left() > 0 && scan.format_index() == format; ++i) {
          ASSERT_LT(i, ahead.size());
          EXPECT_EQ(scan.value(), ahead[i]);
          scan.take({1.0 + static_cast<double>(i), 0.0});
        }
      }
      EXPECT_EQ(formats, codec.format_count);
      EXPECT_EQ(scan.best().squared_error, 1.0);
    }
}

}  // namespace
}  // namespace afp
