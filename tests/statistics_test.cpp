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
    Statistics statistics(dtype);
    statistics.add(nullptr, 0);
    EXPECT_EQ(statistics.count() + statistics.zeros() + statistics.nonfinite(), 0u);
    EXPECT_EQ(statistics.absmax(), 0.0f);
    EXPECT_EQ(statistics.sum_of_squares(), 0.0);
  }
}

TEST(Statistics, StoresTheRangeOfKeysThatHasWeights) {
  for (const DType dtype : kDTypes) {
    const std::vector<float> values = {0.0f, 0.5f, -0.0f, 0.125f, 0.25f, -0.3f};
    const std::vector<std::byte> bytes = sample::weights_of(dtype, values).bytes;
    Statistics statistics = gather(dtype, bytes.data(), values.size());
    EXPECT_EQ(statistics.first_key(), last_key_at(dtype, 0.125f));
    EXPECT_EQ(statistics.end_key(), last_key_at(dtype, 0.5f) + 1);
    EXPECT_EQ(statistics.zeros(), 2u);
    EXPECT_EQ(statistics.key(0).count, 2u);
    EXPECT_EQ(statistics.key(statistics.first_key()).count, 1u);
    EXPECT_EQ(statistics.stored_count(statistics.first_key()), 1u);
    EXPECT_EQ(statistics.stored_count_base(last_key_at(dtype, 0.25f)), 1u);
    EXPECT_EQ(statistics.key(statistics.first_key() - 1).count, 0u);
    EXPECT_EQ(statistics.key(statistics.end_key()).count, 0u);

    // It grows on both sides, and what is taken over equals what is added.
    const std::vector<float> wider = {0x1p-10f, 7.0f};
    const std::vector<std::byte> more = sample::weights_of(dtype, wider).bytes;
    const Statistics other = gather(dtype, more.data(), wider.size());
    Statistics taken(dtype), added(dtype);
    taken.merge(Statistics(statistics));
    added.merge(statistics);
    EXPECT_TRUE(taken == statistics && added == statistics);
    taken.merge(Statistics(other));
    added.merge(other);
    statistics.add(more.data(), wider.size());
    EXPECT_TRUE(taken == statistics && added == statistics);
    EXPECT_EQ(statistics.first_key(), last_key_at(dtype, 0x1p-10f));
    EXPECT_EQ(statistics.absmax(), 7.0f);
    EXPECT_EQ(statistics.count(), 8u);
  }
}

TEST(Statistics, FewAndManyWeightsCountAlike) {
  // 16-bit weights take another way from some number on.
  for (const DType dtype : {DType::BF16, DType::F16}) {
    const std::size_t count = 40'000;
    const std::vector<std::byte> bytes = any_patterns(dtype, count, 3);
    Statistics few(dtype);
    for (std::size_t begin = 0; begin < count; begin += 1'000) few.add(bytes.data() + 2 * begin, 1'000);
    const Statistics many = gather(dtype, bytes.data(), count);
    EXPECT_TRUE(few == many);
    EXPECT_TRUE(many == few);
    EXPECT_EQ(few.count(), many.count());
    EXPECT_EQ(few.nonfinite(), many.nonfinite());
    EXPECT_EQ(few.absmax(), many.absmax());
  }
}

TEST(Statistics, TakesPackedSums) {
  using Bin = Statistics::PackedBin;
  const auto packed = [](std::uint64_t count, std::uint64_t base, std::uint64_t r, std::uint64_t r2) {
    return Bin{count | r << Bin::kSumShift, r2 | base << Bin::kBaseShift};
  };
  // The most that a bin can hold.
  const std::uint64_t most = Bin::kMostWeights, r = 32767;
  Statistics statistics(DType::F32);
  const std::size_t key = last_key_at(DType::F32, 1.0f);
  statistics.add_packed(key, std::vector{packed(most, 0, most * r, most * r * r), packed(most, most, 0, 0)},
                        1.5f);
  EXPECT_EQ(statistics.key(key).count, most);
  EXPECT_EQ(statistics.key(key).count_base, 0u);
  EXPECT_EQ(statistics.key(key).sum_r, most * r);
  EXPECT_EQ(statistics.key(key).sum_r2, most * r * r);
  EXPECT_EQ(statistics.key(key + 1).count, most);
  EXPECT_EQ(statistics.key(key + 1).count_base, most);
  EXPECT_EQ(statistics.key(key + 1).sum_r, 0u);
  EXPECT_EQ(statistics.absmax(), 1.5f);
  // Key 0: zeros, with and without subnormal weights beside them.
  statistics.add_packed(0, std::vector{packed(5, 5, 0, 0)}, 0.0f);
  EXPECT_EQ(statistics.zeros(), 5u);
  EXPECT_EQ(statistics.first_key(), key);
  statistics.add_packed(0, std::vector{packed(7, 3, 10, 40)}, 0.0f);
  EXPECT_EQ(statistics.zeros(), 8u);
  EXPECT_EQ(statistics.key(0).count, 12u);
  EXPECT_EQ(statistics.key(0).count_base, 8u);
  EXPECT_EQ(statistics.key(0).sum_r, 10u);
  EXPECT_EQ(statistics.count(), 2 * most + 12);
  expect_error<UsageError>([] { Statistics(DType::BF16).add_packed(0, {}, 0.0f); },
                           "packed sums are of F32 weights, these Statistics of BF16");
}

TEST(Statistics, TheLastKeyAtAMagnitudeIsThatOfItsWeights) {
  for (const DType dtype : kDTypes) {
    const Statistics statistics(dtype);
    for (std::size_t k = 0; k + 1 < statistics.key_count(); ++k) {
      const float base = statistics.key(k).base, next = statistics.key(k + 1).base;
      ASSERT_EQ(last_key_at(dtype, base), k);
      ASSERT_EQ(last_key_at(dtype, std::nextafter(next, 0.0f)), k);
    }
    EXPECT_EQ(last_key_at(dtype, std::numeric_limits<float>::max()), statistics.key_count() - 1);
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
