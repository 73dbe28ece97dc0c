// Histograms of magnitudes against a search of the edges for every weight.
#include "afp/linear_histogram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "reference_kl.hpp"
#include "sample.hpp"

namespace afp {
namespace {

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

TEST(LinearHistogram, CountsLikeASearchOfTheEdges) {
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes)
    for (const sample::Family family : sample::kFamilies)
      for (const float share : {1.0f, 0.4f}) {
        SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + to_string(family));
        const sample::Weights weights = sample::make(dtype, family, 2'001, ++seed);
        const float limit = reference::absmax(weights.values) * share;
        if (limit == 0.0f) continue;  // too tiny for the type
        const reference::Histogram expected = reference::histogram(weights.values, limit);
        LinearHistogram found(limit, expected.counts.size());
        found.add(dtype, weights.bytes.data(), weights.values.size());
        EXPECT_TRUE(std::ranges::equal(found.edges(), expected.edges));
        EXPECT_TRUE(std::ranges::equal(found.counts(), expected.counts));
        EXPECT_EQ(found.limit(), limit);

        if (dtype == DType::F32) continue;
        Statistics statistics(dtype);
        statistics.add(weights.bytes.data(), weights.values.size());
        LinearHistogram from_keys(limit, expected.counts.size());
        from_keys.add(statistics);
        EXPECT_TRUE(from_keys == found);
      }
}

TEST(LinearHistogram, EdgesBelongToTheBinAbove) {
  for (const std::uint64_t bins : {1, 2, 3, 7, 10, 57, 1000, 4099}) {
    const float limit = 0.7f;
    const LinearHistogram histogram(limit, bins);
    const std::span<const float> edges = histogram.edges();
    ASSERT_EQ(edges.size(), bins + 1);
    EXPECT_EQ(edges.front(), 0.0f);
    for (std::size_t i = 0; i < bins; ++i) {
      EXPECT_EQ(histogram.bin_of(edges[i]), i);
      EXPECT_EQ(histogram.bin_of(std::nextafter(edges[i + 1], 0.0f)), i);
    }
    EXPECT_EQ(histogram.bin_of(limit), bins - 1);
  }
}

TEST(LinearHistogram, TakesAnyLimit) {
  for (const float limit : {std::numeric_limits<float>::denorm_min(), 3e-45f, 1e-40f, 1e-38f, 3e38f,
                            std::numeric_limits<float>::max()}) {
    const std::vector<float> values = {0.0f, limit, limit / 2, limit / 3, -limit};
    for (const std::uint64_t bins : {1, 5, 64}) {
      LinearHistogram histogram(limit, bins);
      histogram.add(DType::F32, sample::weights_of(DType::F32, values).bytes.data(), values.size());
      std::uint64_t total = 0;
      for (const std::uint64_t count : histogram.counts()) total += count;
      EXPECT_EQ(total, values.size()) << limit << " " << bins;
      const std::span<const float> edges = histogram.edges();
      for (const float value : values) {
        const std::size_t bin = histogram.bin_of(std::fabs(value));
        EXPECT_LE(edges[bin], std::fabs(value));
        EXPECT_TRUE(std::fabs(value) < edges[bin + 1] || bin + 1 == bins) << limit << " " << value;
      }
    }
  }
}

TEST(LinearHistogram, LeavesOutWhatIsNoNumberOrBeyondTheLimit) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {inf, -inf, nan, -nan, 1.0f, -1.0f, 1.5f, 0.2f};
  LinearHistogram histogram(1.0f, 4);
  histogram.add(DType::F32, std::as_bytes(std::span(values)).data(), values.size());
  EXPECT_TRUE(std::ranges::equal(histogram.counts(), std::vector<std::uint64_t>{1, 0, 0, 2}));
}

TEST(LinearHistogram, PartsAddUp) {
  const sample::Weights weights = sample::make(DType::F32, sample::Family::gaussian, 1'000, 5);
  LinearHistogram whole(0.05f, 31), front(0.05f, 31), back(0.05f, 31);
  whole.add(DType::F32, weights.bytes.data(), 1'000);
  front.add(DType::F32, weights.bytes.data(), 301);
  back.add(DType::F32, weights.bytes.data() + 4 * 301, 699);
  EXPECT_FALSE(front == whole);
  back.merge(front);
  EXPECT_TRUE(back == whole);
}

TEST(LinearHistogram, SquareRootRuleIsNumpys) {
  EXPECT_EQ(LinearHistogram::square_root_rule(1.0f, 0.0f, 100), 10u);
  EXPECT_EQ(LinearHistogram::square_root_rule(1.0f, 0.0f, 101), 11u);
  EXPECT_EQ(LinearHistogram::square_root_rule(1.0f, 0.5f, 100), 20u);
  EXPECT_EQ(LinearHistogram::square_root_rule(2.0f, 2.0f, 100), 1u);
  EXPECT_EQ(LinearHistogram::square_root_rule(2.0f, 1.0f, 1), 2u);
  // More bins than any tensor can use.
  EXPECT_EQ(LinearHistogram::square_root_rule(1.0f, std::nextafter(1.0f, 0.0f), 1 << 20),
            LinearHistogram::kMostBins);
}

TEST(LinearHistogram, RefusesWhatMakesNoSense) {
  for (const float limit : {0.0f, -1.0f, std::numeric_limits<float>::infinity()})
    expect_error<UsageError>(
        [&] { LinearHistogram(limit, 3); },
        "a histogram's limit is " + std::to_string(limit) + "; expected a positive number");
  expect_error<UsageError>([] { LinearHistogram(1.0f, 0); }, "a histogram of 0 bins; expected 1 to 1048576");
  expect_error<UsageError>([] { LinearHistogram(1.0f, (1 << 20) + 1); },
                           "a histogram of 1048577 bins; expected 1 to 1048576");
  LinearHistogram histogram(1.0f, 3);
  expect_error<UsageError>([&] { histogram.add(DType::F64, nullptr, 0); },
                           "no histogram of F64 weights; expected BF16, F16 or F32");
  expect_error<UsageError>([&] { histogram.add(Statistics(DType::F32)); },
                           "Statistics of F32 weights do not tell their histogram; expected BF16 or F16");
  expect_error<UsageError>([&] { histogram.merge(LinearHistogram(1.0f, 4)); },
                           "histograms of other limits or bins cannot be added");
  expect_error<UsageError>([&] { histogram.add_counts({}); }, "counts of 0 bins cannot be added to 3");
}

}  // namespace
}  // namespace afp
