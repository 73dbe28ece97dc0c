// The answers of a report's front, and the data that a search leaves for it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "host/cli/report/front.hpp"
#include "page.hpp"
#include "report_sample.hpp"

namespace afp::cli {
namespace {

TEST(ReportFront, FindsTheSmallestMix) {
  const ReportData data = sample_data();
  for (const UniformPoint& single : data.front.uniform) {
    const double quality = quality_of(data, single.cost, single.squared_error);
    for (const double wanted : {quality, within_one_percent(data, quality)}) {
      const ModelFrontPoint* expected = nullptr;
      for (const ModelFrontPoint& point : data.front.mixed)
        if (10.0 * std::log10(data.signal / point.squared_error) >= wanted &&
            (expected == nullptr || point.bytes < expected->bytes))
          expected = &point;
      EXPECT_EQ(smallest_reaching(data, wanted), expected);
    }
    EXPECT_NEAR(within_one_percent(data, quality), 0.99 * quality, 1e-12);
  }
  EXPECT_EQ(smallest_reaching(data, 100.0), nullptr);

  const ReportData divergence = divergence_data();
  EXPECT_EQ(smallest_reaching(divergence, divergence.front.mixed[5].cost), &divergence.front.mixed[5]);
  EXPECT_EQ(smallest_reaching(divergence, 0.999 * divergence.front.mixed[5].cost),
            &divergence.front.mixed[6]);
  EXPECT_DOUBLE_EQ(within_one_percent(divergence, 2.0), 2.02);
}

TEST(ReportFront, AnswersWithAnOptionToPaste) {
  // 5 bits everywhere: 5.25 bpw, 6 * 5.25 - 5 = 26.5 dB. The mix has 6 bpw - 4 dB: 26.5 at 5.083, so 5.25 of
  // the quarters; 99 % of it, 26.235 at 5.04, so 5.25 again. 6 bits: 32.5 at 6.083, so 6.25; 32.175
  // at 6.03, 6.25.
  const auto page = read_page(report_html(sample_data()));
  const auto tables = page->with_class("answers");
  ASSERT_EQ(tables.size(), 1u);
  const auto rows = tables[0]->all("tr");
  ASSERT_EQ(rows.size(), 6u);
  const auto options = rows[4]->with_class("opt-text");
  EXPECT_NE(rows[4]->text().find("E2M2/32/e8m0"), std::string::npos);
  ASSERT_EQ(options.size(), 2u);
  EXPECT_EQ(options[0]->text(), "--target-bpw 5.250");
  EXPECT_EQ(options[1]->text(), "--target-bpw 5.250");
}

TEST(ReportFront, OptionsAskForNoLessThanThePoint) {
  EXPECT_EQ(target_option(4.0), "--target-bpw 4.000");
  EXPECT_EQ(target_option(4.25), "--target-bpw 4.250");
  EXPECT_EQ(target_option(4.2501), "--target-bpw 4.251");
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t weights = 1 + random() % 10'000'000'000, bytes = 1 + random() % (2 * weights);
    const double bpw = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
    const double asked = std::stod(target_option(bpw).substr(13));
    EXPECT_GE(asked * (1.0 + 1e-11), bpw);
    EXPECT_LT(asked, bpw + 0.001 + 1e-9);
  }
}

TEST(ReportFront, KnowsWhichSingleEncodingsMatter) {
  const ReportData data = sample_data();  // E1M2 is as large as E2M1, and worse
  EXPECT_EQ(undominated(data), (std::vector<bool>{true, true, false, true, true}));
  EXPECT_EQ(nearest_single(data)->encoding, parse_encoding("E2M1/32/e8m0"));
  EXPECT_EQ(nearest_single(ReportData{}), nullptr);
}

TEST(ReportData, TakesWhatASearchKnows) {
  ModelSearchResult result;
  CostTable table;
  table.objective = Objective::kl;
  table.weighted = true;
  table.sample = 4;
  table.candidates = {parse_encoding("E2M1/32/e8m0"), parse_encoding("E2M2/32/e8m0")};
  std::vector<TensorInfo> tensors = {
      {"kept", DType::BF16, {4}}, {"b", DType::BF16, {4, 32}}, {"a", DType::F32, {2, 32}}};
  result.plan.tensors = {{"kept", {}, {}, std::nullopt, "1-D", 8, std::nullopt, {}},
                         {"b", {}, {}, parse_encoding("E2M2/32/e8m0"), "", 84, 0.5, {}},
                         {"a", {}, {}, parse_encoding("E2M1/32/e8m0"), "", 34, 0.25, {}}};
  table.tensors = {{tensors[1], "", 7.0, {CandidateCost{1.0, 2.0}, CandidateCost{0.5, 1.5}}},
                   {tensors[2], "", 3.0, {std::nullopt, CandidateCost{0.5, 0.75}}}};
  result.search.cost = 0.75;
  result.search.gap = 0.5;
  result.search.trace = {{1, 0.0, 2.0}, {9, 0.1, 0.75}};
  result.weights = 192;
  result.selected_bytes = 118;
  result.file_bytes = 400;
  const ReportData data = report_data(result, {}, table, tensors);
  ASSERT_EQ(data.tensors.size(), 3u);
  EXPECT_EQ(data.tensors[0].kept, "1-D");
  EXPECT_EQ(data.tensors[1].squared_error, 1.5);
  EXPECT_EQ(data.tensors[1].signal, 7.0);
  EXPECT_EQ(data.tensors[1].shape, (Shape{4, 32}));
  EXPECT_EQ(data.tensors[2].squared_error, std::nullopt);
  EXPECT_EQ(data.objective, Objective::kl);
  EXPECT_TRUE(data.weighted);
  EXPECT_EQ(data.sample, 4u);
  EXPECT_EQ(data.gap, 0.5);
  EXPECT_EQ(data.trace.size(), 2u);
  EXPECT_EQ(data.file_bytes, 400u);
  EXPECT_NEAR(data.bpw(), 8.0 * 118 / 192, 1e-12);
  result.search.gap = kInfinity;
  EXPECT_EQ(report_data(result, {}, table, tensors).gap, std::nullopt);
  read_page(report_html(data));
}

}  // namespace
}  // namespace afp::cli
