// Statistics against counting one weight after another.
#include "afp/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <utility>

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

// What a counting kernel gives, by the definition of a key: the magnitude's upper bits.
struct CountedTables {
  std::vector<std::uint64_t> count, count_base, sum_r, sum_r2;
  float largest = 0.0f;

  CountedTables(DType dtype, const std::vector<std::byte>& bytes) {
    const std::size_t keys = dtype == DType::F32 ? 0x10000 : 0x8000;
    for (auto* table : {&count, &count_base, &sum_r, &sum_r2}) table->resize(keys);
    const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
    for (std::size_t i = 0; i < bytes.size() / width; ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, bytes.data() + i * width, width);
      bits &= dtype == DType::F32 ? 0x7FFFFFFFu : 0x7FFFu;
      const std::uint64_t r = dtype == DType::F32 ? bits % 0x8000 : 0;
      const std::size_t key = dtype == DType::F32 ? bits / 0x8000 : bits;
      ++count[key];
      count_base[key] += r == 0;
      sum_r[key] += r;
      sum_r2[key] += r * r;
      if (dtype == DType::F32 && bits < 0x7F800000u) largest = std::max(largest, bits_float(bits));
    }
  }

  // The keys from first to end.
  void add_to(Statistics& statistics, std::size_t first, std::size_t end) const {
    const auto part = [&](const std::vector<std::uint64_t>& table) {
      return std::span(table).subspan(first, end - first);
    };
    if (statistics.dtype() == DType::F32)
      statistics.add_counts(first, {part(count), part(count_base), part(sum_r), part(sum_r2)}, largest);
    else
      statistics.add_counts(first, part(count));
  }
};

TEST(Statistics, TakesCountedTables) {
  for (const DType dtype : kDTypes) {
    SCOPED_TRACE(dtype_name(dtype));
    // Any patterns; then zeros and subnormals alone (F32: both under key 0); then zeros alone; then none.
    std::vector<std::vector<std::byte>> sets = {any_patterns(dtype, 30'001, 5)};
    const std::vector<float> small = {0.0f, -0.0f, 0x1p-149f, 0x7fp-149f, 0x1p-134f, 0.0f};
    sets.push_back(sample::weights_of(dtype, small).bytes);
    sets.push_back(sample::weights_of(dtype, std::vector<float>{0.0f, -0.0f, 0.0f}).bytes);
    sets.emplace_back();
    Statistics sum(dtype), expected_sum(dtype);
    for (const auto& bytes : sets) {
      const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
      const Statistics expected = gather(dtype, bytes.data(), bytes.size() / width);
      const CountedTables tables(dtype, bytes);
      Statistics whole(dtype), parts(dtype);
      const std::size_t keys = tables.count.size();
      tables.add_to(whole, 0, keys);
      EXPECT_TRUE(whole == expected);
      EXPECT_EQ(whole.absmax(), expected.absmax());
      EXPECT_EQ(whole.zeros(), expected.zeros());
      EXPECT_EQ(whole.count(), expected.count());
      for (const auto& [first, end] :
           {std::pair<std::size_t, std::size_t>{keys / 2, keys}, {0, 1}, {1, 77}, {77, 77}, {77, keys / 2}})
        tables.add_to(parts, first, end);
      EXPECT_TRUE(parts == expected);
      tables.add_to(sum, 0, keys);
      expected_sum.merge(expected);
    }
    EXPECT_TRUE(sum == expected_sum);
  }
}

TEST(Statistics, CountedTablesCoverNoMoreKeysThanHaveWeights) {
  for (const DType dtype : kDTypes) {
    const std::vector<std::byte> bytes =
        sample::weights_of(dtype, std::vector<float>{0.0f, 0.25f, 1.0f, 0.0f, 0.3f}).bytes;
    Statistics statistics(dtype);
    CountedTables(dtype, bytes).add_to(statistics, 0, dtype == DType::F32 ? 0x10000 : 0x8000);
    EXPECT_EQ(statistics.first_key(), last_key_at(dtype, 0.25f));
    EXPECT_EQ(statistics.end_key(), last_key_at(dtype, 1.0f) + 1);
    EXPECT_EQ(statistics.zeros(), 2u);
  }
}

TEST(Statistics, RefusesCountedTablesThatCannotBe) {
  const std::vector<std::uint64_t> ten(10), nine(9);
  expect_error<UsageError>([&] { Statistics(DType::F32).add_counts(0, ten); },
                           "counts alone are of BF16 or F16 weights, these Statistics of F32");
  expect_error<UsageError>(
      [&] {
        Statistics(DType::F16).add_counts(0, {ten, ten, ten, ten}, 0.0f);
      },
      "counts with sums are of F32 weights, these Statistics of F16");
  expect_error<UsageError>([&] { Statistics(DType::BF16).add_counts(0x7FF7, ten); },
                           "counts of 10 keys from key 32759 on; there are 32768");
  expect_error<UsageError>([&] { Statistics(DType::BF16).add_counts(0x8001, {}); },
                           "counts of 0 keys from key 32769 on; there are 32768");
  expect_error<UsageError>(
      [&] {
        Statistics(DType::F32).add_counts(0xFFF7, {ten, ten, ten, ten}, 0.0f);
      },
      "counts of 10 keys from key 65527 on; there are 65536");
  expect_error<UsageError>(
      [&] {
        Statistics(DType::F32).add_counts(0, {ten, ten, nine, ten}, 0.0f);
      },
      "tables of 10, 10, 9 and 10 keys; expected as many of each");
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
  expect_error<UsageError>([] { (void)Statistics(DType::F64); },
                           "no Statistics of F64 weights; expected BF16, F16 or F32");
  expect_error<UsageError>([] { (void)Statistics(DType::I8); },
                           "no Statistics of I8 weights; expected BF16, F16 or F32");
  expect_error<UsageError>([] { Statistics(DType::F32).merge(Statistics(DType::BF16)); },
                           "Statistics of BF16 cannot be added to those of F32");
}

}  // namespace
}  // namespace afp
