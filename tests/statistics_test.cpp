// Statistics against counting one weight after another.
#include "afp/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "afp/codec.hpp"
#include "afp/error.hpp"
#include "expect_error.hpp"
#include "sample.hpp"

namespace afp {
namespace {

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

// Weights of any bit pattern, zeros, NaN and infinities among them, some values repeated.
std::vector<std::byte> any_patterns(DType dtype, std::size_t count, std::uint64_t seed) {
  const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  std::vector<std::byte> bytes(count * width);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t pattern = sample::bits(seed, i % 3 == 0 ? i / 7 : i);
    if (i % 5 == 0) pattern &= ~std::uint64_t{0x7FFF};    // F32: r == 0
    if (i % 11 == 0) pattern = i % 2 << (8 * width - 1);  // zeros of both signs
    std::memcpy(bytes.data() + i * width, &pattern, width);
  }
  return bytes;
}

float weight_at(DType dtype, const std::vector<std::byte>& bytes, std::size_t i) {
  if (dtype == DType::F32) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * i, 4);
    return value;
  }
  std::uint16_t half;
  std::memcpy(&half, bytes.data() + 2 * i, 2);
  return dtype == DType::BF16 ? bf16_to_float(half) : f16_to_float(half);
}

Statistics gather(DType dtype, const std::byte* weights, std::uint64_t count) {
  Statistics statistics(dtype);
  statistics.add(weights, count);
  return statistics;
}

TEST(Statistics, CountsLikeOneAfterAnother) {
  for (const DType dtype : kDTypes) {
    SCOPED_TRACE(dtype_name(dtype));
    const std::size_t count = 50'001;
    const std::vector<std::byte> bytes = any_patterns(dtype, count, 1);
    const Statistics statistics = gather(dtype, bytes.data(), count);

    std::uint64_t finite = 0, zeros = 0, nonfinite = 0;
    float absmax = 0.0f;
    long double squares = 0.0L;
    std::map<float, std::uint64_t> by_value;
    for (std::size_t i = 0; i < count; ++i) {
      const float magnitude = std::fabs(weight_at(dtype, bytes, i));
      if (!std::isfinite(magnitude)) {
        ++nonfinite;
        continue;
      }
      ++finite;
      zeros += magnitude == 0.0f;
      absmax = std::max(absmax, magnitude);
      squares += static_cast<long double>(magnitude) * magnitude;
      ++by_value[magnitude];
    }
    ASSERT_GT(nonfinite, 0u);
    ASSERT_GT(zeros, 0u);
    EXPECT_EQ(statistics.dtype(), dtype);
    EXPECT_EQ(statistics.count(), finite);
    EXPECT_EQ(statistics.zeros(), zeros);
    EXPECT_EQ(statistics.nonfinite(), nonfinite);
    EXPECT_EQ(statistics.absmax(), absmax);
    EXPECT_NEAR(statistics.sum_of_squares() / static_cast<double>(squares), 1.0, 1e-12);

    // Every key against the weights between its base and the next one's.
    auto next = by_value.begin();
    for (std::size_t k = 0; k < statistics.key_count(); ++k) {
      const Statistics::Key key = statistics.key(k);
      const float end = k + 1 < statistics.key_count() ? statistics.key(k + 1).base
                                                       : std::numeric_limits<float>::infinity();
      ASSERT_LT(key.base, end);
      std::uint64_t expected = 0, at_base = 0, sum_r = 0, sum_r2 = 0;
      for (; next != by_value.end() && next->first < end; ++next) {
        ASSERT_GE(next->first, key.base);
        const double r = key.step == 0 ? 0.0 : (static_cast<double>(next->first) - key.base) / key.step;
        const auto whole = static_cast<std::uint64_t>(r);
        ASSERT_EQ(static_cast<double>(whole), r);
        expected += next->second;
        if (next->first == key.base) at_base += next->second;
        sum_r += whole * next->second;
        sum_r2 += whole * whole * next->second;
      }
      ASSERT_EQ(key.count, expected) << key.base;
      ASSERT_EQ(key.count_base, at_base) << key.base;
      ASSERT_EQ(key.sum_r, sum_r) << key.base;
      ASSERT_EQ(key.sum_r2, sum_r2) << key.base;
    }
    EXPECT_TRUE(next == by_value.end());
  }
}

TEST(Statistics, EveryPatternOfSixteenBitsHasItsKey) {
  for (const DType dtype : {DType::BF16, DType::F16}) {
    std::vector<std::uint16_t> all(0x10000);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
    const Statistics statistics = gather(dtype, reinterpret_cast<const std::byte*>(all.data()), all.size());
    const std::size_t infinity = dtype == DType::BF16 ? 0x7F80 : 0x7C00;
    ASSERT_EQ(statistics.key_count(), infinity);
    for (std::size_t k = 0; k < infinity; ++k) {
      EXPECT_EQ(statistics.key(k).count, 2u);  // both signs
      EXPECT_EQ(statistics.key(k).base,
                weight_at(dtype,
                          {reinterpret_cast<const std::byte*>(all.data()),
                           reinterpret_cast<const std::byte*>(all.data() + all.size())},
                          k));
    }
    EXPECT_EQ(statistics.nonfinite(), 0x10000 - 2 * infinity);
    EXPECT_EQ(statistics.count(), 2 * infinity);
  }
}

TEST(Statistics, ChunksMergesAndAlignmentMakeNoDifference) {
  for (const DType dtype : kDTypes) {
    SCOPED_TRACE(dtype_name(dtype));
    const std::size_t count = 4'099, width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
    const std::vector<std::byte> bytes = any_patterns(dtype, count, 2);
    const Statistics whole = gather(dtype, bytes.data(), count);

    Statistics chunked(dtype);
    for (std::size_t begin = 0, step = 0; begin < count; begin += step, step = (step + 1) % 9)
      chunked.add(bytes.data() + begin * width, std::min(step, count - begin));
    EXPECT_TRUE(chunked == whole);

    const std::size_t cut = 1'001;
    const Statistics front = gather(dtype, bytes.data(), cut),
                     back = gather(dtype, bytes.data() + cut * width, count - cut);
    Statistics forward(dtype), backward(dtype);
    forward.merge(front);
    forward.merge(back);
    backward.merge(back);
    backward.merge(front);
    EXPECT_TRUE(forward == whole);
    EXPECT_TRUE(backward == whole);
    EXPECT_EQ(backward.absmax(), whole.absmax());

    std::vector<std::byte> shifted(bytes.size() + 1);
    std::memcpy(shifted.data() + 1, bytes.data(), bytes.size());
    EXPECT_TRUE(gather(dtype, shifted.data() + 1, count) == whole);
    EXPECT_FALSE(gather(dtype, bytes.data(), count - 1) == whole);
  }
}

TEST(Statistics, OfNothing) {
  for (const DType dtype : kDTypes) {
    const Statistics statistics(dtype);
    EXPECT_EQ(statistics.count() + statistics.zeros() + statistics.nonfinite(), 0u);
    EXPECT_EQ(statistics.absmax(), 0.0f);
    EXPECT_EQ(statistics.sum_of_squares(), 0.0);
  }
}

TEST(Statistics, RefusesOtherTypes) {
  expect_error<UsageError>([] { Statistics(DType::F64); },
                           "no Statistics of F64 weights; expected BF16, F16 or F32");
  expect_error<UsageError>([] { Statistics(DType::I8); },
                           "no Statistics of I8 weights; expected BF16, F16 or F32");
  expect_error<UsageError>([] { Statistics(DType::F32).merge(Statistics(DType::BF16)); },
                           "Statistics of BF16 cannot be added to those of F32");
}

}  // namespace
}  // namespace afp
