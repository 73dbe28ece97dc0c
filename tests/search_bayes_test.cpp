// Bayesian optimization: the Gaussian process against its formula in long double, and how few of the
// original's 33 costs it looks at to find the best.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "host/search/gaussian_process.hpp"
#include "search_problems.hpp"

namespace afp {
namespace {

using search_detail::GaussianProcess;

TEST(SearchGaussianProcess, PassesThroughWhatItHasSeen) {
  std::vector<GaussianProcess::Place> places;
  std::vector<double> values;
  for (int bits = 2; bits < 7; ++bits)
    for (int exponent = 0; exponent < bits; exponent += 2) {
      places.push_back({static_cast<double>(bits), static_cast<double>(exponent), 0.0});
      values.push_back(-1.4 * bits + 0.3 * exponent * exponent);
    }
  GaussianProcess process;
  process.fit(places, values, false);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto at = process.predict(places[i]);
    EXPECT_NEAR(at.mean, values[i], 0.05);
    EXPECT_LT(at.deviation, 0.3);
  }
  // Between places it knows: near their values. Far away: the mean again, and unsure.
  EXPECT_NEAR(process.predict({4.0, 1.0, 0.0}).mean, -1.4 * 4 + 0.3, 0.5);
  const auto far = process.predict({200.0, 100.0, 0.0});
  EXPECT_GT(far.deviation, process.predict({4.0, 1.0, 0.0}).deviation);
}

TEST(SearchGaussianProcess, OneObservationIsTheMeanEverywhere) {
  GaussianProcess process;
  process.fit({{4.0, 2.0, 0.0}}, {3.5}, false);
  EXPECT_NEAR(process.predict({4.0, 2.0, 0.0}).mean, 3.5, 1e-12);
  EXPECT_NEAR(process.predict({8.0, 0.0, 0.0}).mean, 3.5, 1e-12);
}

TEST(SearchGaussianProcess, TellsColumnsOfOnePlaceApart) {
  // Two kinds of columns at every place, the second costing 2 more.
  std::vector<GaussianProcess::Place> places;
  std::vector<double> values;
  for (int bits = 2; bits < 8; ++bits)
    for (int slot = 0; slot < 2; ++slot) {
      if (bits == 5 && slot == 1) continue;
      places.push_back({static_cast<double>(bits), 1.0, static_cast<double>(slot)});
      values.push_back(-static_cast<double>(bits) + 2.0 * slot);
    }
  GaussianProcess process;
  process.fit(places, values, false);
  EXPECT_NEAR(process.predict({5.0, 1.0, 1.0}).mean, -3.0, 0.5);
}

// The original's question: one choice of (N, E) for the model, N = 3..8, cost = penalty^L * 10 * KL.
SearchProblem original_question(double exponent) {
  std::ifstream file(std::string(AFP_TEST_DATA) + "/golden/seed_golden.json");
  const auto golden = nlohmann::json::parse(file);
  SearchProblem problem;
  problem.rows = 1;
  for (int bits = 3; bits <= 8; ++bits)
    for (int exponent_bits = 0; exponent_bits < bits; ++exponent_bits) {
      const std::string key = std::to_string(bits) + "," + std::to_string(exponent_bits);
      problem.columns.push_back({bits, exponent_bits});
      problem.costs.push_back(std::pow(golden["penalty"][key].get<double>(), exponent) * 10.0 *
                              golden["average_kl"][key].get<double>());
      problem.bytes.push_back(0);
    }
  return problem;
}

TEST(SearchBayes, FindsTheOriginalsBestInLessThanHalfTheEvaluations) {
  for (int tenths = 0; tenths <= 10; ++tenths) {
    const SearchProblem problem = original_question(0.1 * tenths);
    ASSERT_EQ(problem.columns.size(), 33u);
    const SearchResult exact = search(problem, {});
    std::vector<std::uint64_t> found_after;
    std::uint64_t most = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      SearchOptions options;
      options.method = Method::bayes;
      options.seed = seed;
      const SearchResult result = search(problem, options);
      most = std::max(most, result.evaluations);
      std::uint64_t after = 33;
      if (result.choice == exact.choice)
        for (const auto& point : result.trace)
          if (point.cost <= exact.cost) after = std::min(after, point.evaluations);
      found_after.push_back(after);
    }
    std::sort(found_after.begin(), found_after.end());
    const double median = 0.5 * static_cast<double>(found_after[9] + found_after[10]);
    RecordProperty("L0." + std::to_string(tenths), std::to_string(median));
    EXPECT_LT(median, 16.5) << "penalty exponent " << 0.1 * tenths;
    EXPECT_LE(most, 16u) << "it looks at half of the table and no more";
  }
}

TEST(SearchBayes, FindsTheBestOfEverythingWithEnoughEvaluations) {
  for (int tenths = 0; tenths <= 10; tenths += 5) {
    const SearchProblem problem = original_question(0.1 * tenths);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      SearchOptions options;
      options.method = Method::bayes;
      options.seed = seed;
      options.evaluations = 33;
      EXPECT_EQ(search(problem, options).choice, search(problem, {}).choice);
    }
  }
}

TEST(SearchBayes, ComesNearTheOptimumWithABudget) {
  for (const double budget : {0.2, 0.5}) {
    const SearchProblem problem = model_problem(20, 33, budget, 3);
    SearchOptions options;
    options.method = Method::bayes;
    const SearchResult result = search(problem, options);
    EXPECT_LE(result.cost, 1.05 * search(problem, {}).cost);
    EXPECT_LE(result.evaluations, 20u * 33u / 2u);
    EXPECT_LE(result.bytes, *problem.budget);
  }
}

TEST(SearchBayes, IsForFewRows) {
  SearchOptions options;
  options.method = Method::bayes;
  EXPECT_NO_THROW(search(model_problem(20, 3, std::nullopt, 4), options));
  const SearchProblem problem = model_problem(21, 3, std::nullopt, 4);
  expect_error<UsageError>(
      [&] { search(problem, options); },
      "method bayes is for at most 20 rows, these are 21: take exact, or tie tensors together");
}

}  // namespace
}  // namespace afp
