// What holds of every method: errors, pins, limits, the trace, interruption, and equal results on any number
// of threads.
#include "afp/search.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <set>
#include <string>
#include <thread>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "search_problems.hpp"

namespace afp {
namespace {

constexpr Method kMethods[] = {Method::exact, Method::anneal, Method::genetic, Method::bayes};

SearchProblem good_problem() {
  SearchProblem problem = model_problem(4, 9, 0.5, 1);
  return problem;
}

SearchOptions options_of(Method method, std::uint64_t seed = 1) {
  SearchOptions options;
  options.method = method;
  options.seed = seed;
  return options;
}

class SearchMethods : public testing::TestWithParam<Method> {};
INSTANTIATE_TEST_SUITE_P(Methods, SearchMethods, testing::ValuesIn(kMethods),
                         [](const auto& method) { return std::string(to_string(method.param)); });

TEST(Search, MethodsHaveNames) {
  for (const Method method : kMethods) EXPECT_EQ(parse_method(to_string(method)), method);
  for (const std::string text : {"", "Exact", "exact ", "annealing"})
    expect_error<UsageError>([&] { parse_method(text); },
                             "unknown method '" + text + "'; expected exact, anneal, genetic or bayes");
}

TEST_P(SearchMethods, RefusesProblemsThatMakeNoSense) {
  const auto expect_refused = [&](const auto& spoil, const std::string& message) {
    SearchProblem problem = good_problem();
    spoil(problem);
    expect_error<UsageError>([&] { search(problem, options_of(GetParam())); }, message);
    problem.budget = 0;
    if (message.find("budget") == std::string::npos)
      expect_error<UsageError>([&] { pareto_front(problem, 10); }, message);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_refused([](SearchProblem& p) { p.columns.clear(); }, "there is no column to choose from");
  expect_refused([](SearchProblem& p) { p.costs.pop_back(); },
                 "the table has 35 costs, not rows times columns: 36");
  expect_refused([](SearchProblem& p) { p.bytes.push_back(1); },
                 "the table has 37 sizes, not rows times columns: 36");
  expect_refused([](SearchProblem& p) { ++p.rows; }, "the table has 36 costs, not rows times columns: 45");
  expect_refused([&](SearchProblem& p) { p.costs[p.at(2, 3)] = nan; },
                 "row 2, column 3: a cost is a number from 0 on, this is NaN");
  expect_refused([](SearchProblem& p) { p.costs[p.at(3, 8)] = -1e-300; },
                 "row 3, column 8: a cost is a number from 0 on, this is negative");
  expect_refused(
      [](SearchProblem& p) {
        for (std::size_t c = 0; c < 9; ++c) p.costs[p.at(1, c)] = SearchProblem::kUnavailable;
      },
      "row 1 has no available column");
  for (const double price : {nan, -1.0, std::numeric_limits<double>::infinity()})
    expect_refused([&](SearchProblem& p) { p.price = price; },
                   "the price of a byte is not a finite number from 0 on");
  expect_refused([](SearchProblem& p) { p.bytes[5] = std::numeric_limits<std::uint64_t>::max(); },
                 "the rows together take more than 2^62 bytes");
  expect_refused([](SearchProblem& p) { p.bytes[0] = p.bytes[p.at(1, 0)] = (1ull << 61) + 1; },
                 "the rows together take more than 2^62 bytes");
  expect_refused([](SearchProblem& p) { p.costs[0] = p.costs[p.at(1, 0)] = 1e308; },
                 "the sum of costs is beyond the range of a double");
  const SearchProblem good = good_problem();
  const std::uint64_t least = optimum_of(good).least_bytes;
  expect_refused([&](SearchProblem& p) { p.budget = least - 1; },
                 "the budget of " + std::to_string(least - 1) + " bytes is below the least possible size, " +
                     std::to_string(least) + " bytes");
}

TEST_P(SearchMethods, FindsTheOnlyChoiceThatFits) {
  SearchProblem problem = good_problem();
  problem.budget = optimum_of(problem).least_bytes;
  const SearchResult result = search(problem, options_of(GetParam()));
  EXPECT_EQ(result.bytes, *problem.budget);
  EXPECT_EQ(result.choice, search(problem, {}).choice);
}

TEST_P(SearchMethods, RespectsPins) {
  Random random(2);
  for (int repeat = 0; repeat < 20; ++repeat) {
    SearchProblem problem = model_problem(6, 9, std::nullopt, random());
    std::vector<std::size_t> pinned(6, 9);
    for (std::size_t row = 0; row < 6; ++row) {
      if (random_below(random, 2) == 0) continue;
      pinned[row] = random_below(random, 9);
      for (std::size_t column = 0; column < 9; ++column)
        if (column != pinned[row]) problem.costs[problem.at(row, column)] = SearchProblem::kUnavailable;
    }
    if (repeat % 2 == 0) problem.budget = optimum_of(problem).least_bytes + random_below(random, 1'000'000);
    SearchOptions options = options_of(GetParam(), random());
    if (GetParam() == Method::anneal) options.evaluations = 20'000;
    const SearchResult result = search(problem, options);
    for (std::size_t row = 0; row < 6; ++row) {
      EXPECT_TRUE(problem.available(row, result.choice[row]));
      if (pinned[row] < 9) {
        EXPECT_EQ(result.choice[row], pinned[row]);
      }
    }
    if (problem.budget) {
      EXPECT_LE(result.bytes, *problem.budget);
    }
    EXPECT_EQ(result.bytes, bytes_of(problem, result.choice));
    EXPECT_LE(result.bound, static_cast<double>(optimum_of(problem).value) * (1.0 + 1e-14));
  }
}

TEST_P(SearchMethods, AllPinnedIsAnAnswer) {
  SearchProblem problem;
  problem.rows = 2;
  problem.columns.resize(2);
  problem.costs = {SearchProblem::kUnavailable, 3.0, 0.0, SearchProblem::kUnavailable};
  problem.bytes = {0, 5, 6, 0};
  for (const auto budget : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(11)}) {
    problem.budget = budget;
    const SearchResult result = search(problem, options_of(GetParam()));
    EXPECT_EQ(result.choice, (std::vector<std::size_t>{1, 0}));
    EXPECT_EQ(result.cost, 3.0);
    EXPECT_EQ(result.bytes, 11u);
    EXPECT_EQ(result.gap, 0.0);
  }
}

TEST_P(SearchMethods, SurvivesAwkwardCosts) {
  Random random(3);
  for (const Costs kind : {Costs::small_integers, Costs::nearly_equal, Costs::huge, Costs::with_zeros})
    for (int repeat = 0; repeat < 12; ++repeat) {
      SearchProblem problem = small_problem(random, kind);
      problem.budget = optimum_of(problem).least_bytes + random_below(random, 30);
      SearchOptions options = options_of(GetParam(), random());
      if (GetParam() == Method::anneal) options.evaluations = 10'000;
      const SearchResult result = search(problem, options);
      const auto optimum = static_cast<double>(optimum_of(problem).value);
      const auto value = static_cast<double>(value_of(problem, result.choice));
      EXPECT_LE(result.bytes, *problem.budget);
      EXPECT_GE(value, optimum * (1.0 - 1e-14));
      EXPECT_LE(result.bound, optimum * (1.0 + 1e-14));
    }
}

TEST_P(SearchMethods, TheTraceDescendsToTheResult) {
  const SearchProblem problem = model_problem(12, 20, 0.4, 4);
  SearchOptions options = options_of(GetParam());
  if (GetParam() == Method::anneal) options.evaluations = 100'000;
  const SearchResult result = search(problem, options);
  ASSERT_GE(result.trace.size(), 2u);
  for (std::size_t i = 1; i < result.trace.size(); ++i) {
    if (i + 1 < result.trace.size()) {
      EXPECT_LT(result.trace[i].cost, result.trace[i - 1].cost);
    }
    EXPECT_LE(result.trace[i].cost, result.trace[i - 1].cost * (1.0 + 1e-14));
    EXPECT_GE(result.trace[i].evaluations, result.trace[i - 1].evaluations);
    EXPECT_GE(result.trace[i].seconds, result.trace[i - 1].seconds);
  }
  EXPECT_EQ(result.trace.back().cost, result.cost);
  EXPECT_EQ(result.trace.back().evaluations, result.evaluations);
  EXPECT_EQ(result.trace.back().seconds, result.seconds);
}

TEST_P(SearchMethods, IsReproducibleOnAnyNumberOfThreads) {
  const bool few_rows = GetParam() == Method::bayes;
  const SearchProblem problem = model_problem(few_rows ? 12 : 60, 20, 0.4, 5);
  SearchOptions options = options_of(GetParam(), 77);
  if (GetParam() == Method::anneal) options.evaluations = 200'000;
  if (GetParam() == Method::genetic) options.evaluations = 3'000;
  options.threads = 1;
  const SearchResult first = search(problem, options);
  for (const int threads : {1, 2, 3, 0}) {
    options.threads = threads;
    const SearchResult again = search(problem, options);
    EXPECT_EQ(again.choice, first.choice);
    EXPECT_EQ(again.cost, first.cost);
    EXPECT_EQ(again.bound, first.bound);
    EXPECT_EQ(again.evaluations, first.evaluations);
    ASSERT_EQ(again.trace.size(), first.trace.size());
    for (std::size_t i = 0; i < first.trace.size(); ++i) {
      EXPECT_EQ(again.trace[i].cost, first.trace[i].cost);
      EXPECT_EQ(again.trace[i].evaluations, first.trace[i].evaluations);
    }
  }
}

TEST(Search, AnotherSeedGoesAnotherWay) {
  for (const Method method : {Method::anneal, Method::genetic, Method::bayes}) {
    const SearchProblem problem = model_problem(method == Method::bayes ? 12 : 100, 20, 0.4, 6);
    std::set<std::vector<double>> ways;
    for (const std::uint64_t seed : {1ull, 2ull, 1ull << 40}) {
      SearchOptions options = options_of(method, seed);
      options.evaluations = 2'000;
      std::vector<double> way;
      for (const auto& point : search(problem, options).trace) way.push_back(point.cost);
      ways.insert(way);
    }
    EXPECT_EQ(ways.size(), 3u) << to_string(method);
  }
}

TEST(Search, StopsAfterSoManyEvaluations) {
  const SearchProblem problem = model_problem(15, 30, 0.4, 7);
  for (const std::uint64_t most : {1ull, 59ull, 1'000ull, 100'000ull}) {
    SearchOptions options = options_of(Method::anneal);
    options.evaluations = most;
    EXPECT_LE(search(problem, options).evaluations, most);
    EXPECT_GE(search(problem, options).evaluations, most - most / 10);
    options.method = Method::genetic;
    EXPECT_LE(search(problem, options).evaluations, most + 64);
    options.method = Method::bayes;
    EXPECT_LE(search(problem, options).evaluations, std::max<std::uint64_t>(most, 15 * 4));
  }
}

TEST_P(SearchMethods, StopsWhenAsked) {
  const std::atomic<bool> stop = true;
  SearchOptions options = options_of(GetParam());
  options.stop = &stop;
  EXPECT_THROW(search(good_problem(), options), Interrupted);
}

TEST(Search, StopsInTheMiddle) {
  const SearchProblem problem = model_problem(50, 20, 0.4, 8);
  for (const Method method : {Method::anneal, Method::genetic}) {
    std::atomic<bool> stop = false;
    SearchOptions options = options_of(method);
    options.stop = &stop;
    options.evaluations = 1'000'000'000'000;
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(method == Method::anneal ? 50 : 5));
      stop = true;
    });
    EXPECT_THROW(search(problem, options), Interrupted);
    later.join();
  }
}

}  // namespace
}  // namespace afp
