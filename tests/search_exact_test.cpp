// The exact solver against trying everything, its parts against their definitions, and the front over all
// budgets against the hull of all choices.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "host/search/hulls.hpp"
#include "host/search/lagrangian.hpp"
#include "host/search/open_rows.hpp"
#include "search_problems.hpp"

namespace afp {
namespace {

constexpr Costs kAllCosts[] = {Costs::small_integers, Costs::even,   Costs::nearly_equal,
                               Costs::huge,           Costs::powers, Costs::with_zeros};

// What holds of any result: the sums are those of the choice, which is available and fits; the bound is
// below.
void expect_consistent(const SearchProblem& problem, const SearchResult& result) {
  ASSERT_EQ(result.choice.size(), problem.rows);
  for (std::size_t row = 0; row < problem.rows; ++row)
    ASSERT_TRUE(problem.available(row, result.choice[row])) << "row " << row;
  EXPECT_EQ(result.bytes, bytes_of(problem, result.choice));
  if (problem.budget) {
    EXPECT_LE(result.bytes, *problem.budget);
  }
  const auto cost = static_cast<double>(cost_of(problem, result.choice));
  EXPECT_NEAR(result.cost, cost, 1e-15 * cost * static_cast<double>(problem.rows));
  const double value = result.cost + problem.price * static_cast<double>(result.bytes);
  EXPECT_LE(result.bound, value);
  EXPECT_GE(result.gap, 0.0);
  EXPECT_EQ(result.gap == 0.0, result.bound == value);
  if (result.bound > 0.0) {
    EXPECT_DOUBLE_EQ(result.gap, (value - result.bound) / result.bound);
  }
  ASSERT_FALSE(result.trace.empty());
  EXPECT_EQ(result.trace.back().evaluations, result.evaluations);
}

void expect_optimal(const SearchProblem& problem) {
  const Optimum optimum = optimum_of(problem);
  if (std::isinf(optimum.value)) {
    expect_error<UsageError>([&] { search(problem, {}); },
                             "the budget of " + std::to_string(*problem.budget) +
                                 " bytes is below the least possible size, " +
                                 std::to_string(optimum.least_bytes) + " bytes");
    return;
  }
  const SearchResult result = search(problem, {});
  expect_consistent(problem, result);
  EXPECT_EQ(result.gap, 0.0) << "not proven";
  const auto best = static_cast<double>(optimum.value);
  EXPECT_NEAR(static_cast<double>(value_of(problem, result.choice) - optimum.value), 0.0, 2e-15 * best);
}

TEST(SearchExact, IsOptimalOnSmallProblems) {
  Random random(1);
  for (const Costs kind : kAllCosts)
    for (int repeat = 0; repeat < 3000 && !testing::Test::HasFailure(); ++repeat) {
      SearchProblem problem = small_problem(random, kind);
      const std::uint64_t largest = *std::max_element(problem.bytes.begin(), problem.bytes.end());
      problem.budget = random_below(random, largest * problem.rows + 2);
      expect_optimal(problem);
    }
}

TEST(SearchExact, IsOptimalWhereTheBudgetIsJustEnough) {
  Random random(2);
  for (const Costs kind : kAllCosts)
    for (int repeat = 0; repeat < 500 && !testing::Test::HasFailure(); ++repeat) {
      SearchProblem problem = small_problem(random, kind);
      problem.budget = optimum_of(problem).least_bytes;
      expect_optimal(problem);
      if (*problem.budget == 0) continue;
      --*problem.budget;
      expect_optimal(problem);
    }
}

TEST(SearchExact, TakesTheLeastOfEveryRowWithoutABudget) {
  Random random(3);
  for (const Costs kind : kAllCosts)
    for (int repeat = 0; repeat < 500 && !testing::Test::HasFailure(); ++repeat)
      expect_optimal(small_problem(random, kind));
}

TEST(SearchExact, PrefersFewerBytesAndThenTheFirstColumn) {
  SearchProblem problem;
  problem.rows = 1;
  problem.columns.resize(4);
  problem.costs = {2.0, 1.0, 1.0, 1.0};
  problem.bytes = {1, 7, 5, 5};
  EXPECT_EQ(search(problem, {}).choice, std::vector<std::size_t>{2});
  problem.budget = 100;
  EXPECT_EQ(search(problem, {}).choice, std::vector<std::size_t>{2});
}

TEST(SearchExact, APriceBuysWhatItIsWorth) {
  SearchProblem problem;
  problem.rows = 1;
  problem.columns.resize(2);
  problem.costs = {4.0, 1.0};
  problem.bytes = {10, 20};
  for (const auto& [price, column] : std::map<double, std::size_t>{{0.0, 1}, {0.29, 1}, {0.31, 0}}) {
    problem.price = price;
    const SearchResult result = search(problem, {});
    EXPECT_EQ(result.choice[0], column) << price;
    EXPECT_EQ(result.cost, problem.costs[column]);
    EXPECT_DOUBLE_EQ(result.bound, problem.costs[column] + price * static_cast<double>(result.bytes));
  }
}

// Sizes that all need to be told apart and costs that follow them: little to drop, much to keep.
SearchProblem hard_problem(std::uint64_t seed) {
  Random random(seed);
  SearchProblem problem;
  problem.rows = 40;
  problem.columns.resize(12);
  std::uint64_t least = 0, most = 0;
  for (std::size_t row = 0; row < problem.rows; ++row) {
    std::vector<std::uint64_t> sizes(12);
    for (std::uint64_t& size : sizes) size = 1'000'000'000 + random_below(random, 1'000'000'000);
    std::sort(sizes.begin(), sizes.end());
    for (const std::uint64_t size : sizes) {
      problem.bytes.push_back(size);
      problem.costs.push_back(3e9 - static_cast<double>(size));
    }
    least += sizes.front();
    most += sizes.back();
  }
  problem.budget = least + (most - least) / 2 + 1;
  return problem;
}

TEST(SearchExact, BoundsWhatItHasNoTimeToProve) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const SearchProblem problem = hard_problem(seed);
    double least_value = std::numeric_limits<double>::infinity(), greatest_bound = 0.0;
    for (const std::uint64_t states : {1, 1'000, 100'000, 2'000'000}) {
      SearchOptions options;
      options.evaluations = states;
      const SearchResult result = search(problem, options);
      expect_consistent(problem, result);
      least_value = std::min(least_value, result.cost);
      greatest_bound = std::max(greatest_bound, result.bound);
    }
    // Every bound holds for every choice that any of them found.
    EXPECT_LE(greatest_bound, least_value);
    EXPECT_LT(search(problem, {}).gap, 1e-4);
  }
}

TEST(SearchExact, FewStatesStillBoundTheOptimum) {
  Random random(4);
  int unproven = 0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    SearchProblem problem = model_problem(6, 7, 0.1 + 0.8 * random_unit(random), random());
    for (std::uint64_t& bytes : problem.bytes) bytes += random_below(random, 1000);
    const auto optimum = static_cast<double>(optimum_of(problem).value);
    SearchOptions options;
    options.evaluations = 1;
    const SearchResult result = search(problem, options);
    EXPECT_LE(result.bound, optimum * (1.0 + 1e-14));
    EXPECT_GE(result.cost, optimum * (1.0 - 1e-14));
    unproven += result.gap > 0.0 ? 1 : 0;
  }
  EXPECT_GT(unproven, 3);  // else this tested nothing
}

TEST(SearchExact, SolvesModelsToWithinAFewPartsInAMillion) {
  for (const double budget : {0.02, 0.2, 0.5, 0.9}) {
    const SearchProblem problem = model_problem(300, 30, budget, 7);
    const SearchResult result = search(problem, {});
    expect_consistent(problem, result);
    EXPECT_LT(result.gap, 1e-4) << budget;
  }
}

TEST(SearchExact, HandlesNoRows) {
  SearchProblem problem;
  problem.columns.resize(2);
  problem.budget = 0;
  const SearchResult result = search(problem, {});
  EXPECT_TRUE(result.choice.empty());
  EXPECT_EQ(result.cost, 0.0);
  EXPECT_EQ(result.gap, 0.0);
}

// --- Parts -----------------------------------------------------------------------------------------------

TEST(SearchHulls, KeepWhatNothingBeats) {
  using search_detail::Item;
  Random random(5);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    std::vector<Item> items;
    for (std::uint32_t column = 0; column < 1 + random_below(random, 9); ++column)
      items.push_back({random_below(random, 12), static_cast<double>(random_below(random, 9)), column});
    std::vector<Item> kept = items;
    search_detail::drop_dominated(kept);
    for (const Item& item : items) {
      const auto beats = [&](const Item& other) {
        const bool no_worse = other.bytes <= item.bytes && other.value <= item.value;
        const bool same = other.bytes == item.bytes && other.value == item.value;
        return no_worse && (!same || other.column < item.column);
      };
      const bool dominated = std::any_of(items.begin(), items.end(), beats);
      const bool is_kept =
          std::any_of(kept.begin(), kept.end(), [&](const Item& k) { return k.column == item.column; });
      EXPECT_NE(dominated, is_kept);
    }
    // A corner of the hull lies below every line between two others around it, any other item does not.
    const std::vector<Item> hull = search_detail::lower_hull(kept);
    for (const Item& item : kept) {
      bool corner = true;
      for (const Item& a : kept)
        for (const Item& b : kept)
          if (a.bytes < item.bytes && item.bytes < b.bytes)
            corner = corner && (item.value - a.value) * static_cast<double>(b.bytes - a.bytes) <
                                   (b.value - a.value) * static_cast<double>(item.bytes - a.bytes);
      const bool in_hull =
          std::any_of(hull.begin(), hull.end(), [&](const Item& h) { return h.column == item.column; });
      EXPECT_EQ(corner, in_hull);
    }
  }
}

TEST(SearchRelaxation, BoundsAndIsTheBestPrice) {
  Random random(6);
  for (int repeat = 0; repeat < 500; ++repeat) {
    SearchProblem problem = small_problem(random, Costs::even);
    problem.budget = optimum_of(problem).least_bytes + random_below(random, 30);
    const auto hull = search_detail::reduce_rows(problem).hull;
    const auto relaxation = search_detail::relax(hull, search_detail::sorted_steps(hull), *problem.budget);
    EXPECT_LE(relaxation.bound, static_cast<double>(optimum_of(problem).value) * (1.0 + 1e-14));
    // L(price) = sum of min(value + price * bytes) - price * budget, greatest at the price found.
    const auto dual = [&](double price) {
      double sum = -price * static_cast<double>(*problem.budget);
      for (std::size_t row = 0; row < problem.rows; ++row) {
        double least = std::numeric_limits<double>::infinity();
        for (const auto& item : hull.row(row))
          least = std::min(least, item.value + price * static_cast<double>(item.bytes));
        sum += least;
      }
      return sum;
    };
    const double scale = 1.0 + relaxation.price * static_cast<double>(*problem.budget);
    EXPECT_NEAR(std::max(0.0, dual(relaxation.price)), relaxation.bound, 1e-13 * scale);
    for (const double other : {0.0, 0.5, 0.9, 1.1, 2.0})
      EXPECT_LE(dual(relaxation.price * other), dual(relaxation.price) + 1e-13 * scale);
  }
}

TEST(SearchOpenRows, BoundIsTheRelaxationOfTheUndecided) {
  using search_detail::Change;
  using search_detail::OpenRow;
  Random random(8);
  for (int repeat = 0; repeat < 300; ++repeat) {
    // Rows whose changes all lie above a line through the base, as around a relaxation's base.
    std::vector<OpenRow> rows(1 + random_below(random, 4));
    for (OpenRow& row : rows) {
      std::map<std::int64_t, double> changes = {{0, 0.0}};
      for (int i = 0; i < 4; ++i) {
        const std::int64_t bytes = static_cast<std::int64_t>(random_below(random, 41)) - 20;
        changes.try_emplace(bytes, -static_cast<double>(bytes) + 10.0 * random_unit(random));
      }
      for (const auto& [bytes, value] : changes) {
        // Undominated, as the solver's are; nothing may beat the base.
        const bool beaten = std::any_of(changes.begin(), changes.end(), [&](const auto& other) {
          return other.first < bytes && other.second <= value;
        });
        if (!beaten) row.changes.push_back({bytes, value, 0});
      }
      ASSERT_TRUE(
          std::any_of(row.changes.begin(), row.changes.end(), [](const Change& c) { return c.bytes == 0; }));
    }
    search_detail::UndecidedRows undecided(rows);
    for (std::size_t first = 0; first <= rows.size(); ++first) {
      undecided.advance(first, 60, 60);
      // The least value of any choice of the undecided that takes at most so many bytes.
      std::map<std::int64_t, double> least = {{0, 0.0}};
      for (std::size_t row = first; row < rows.size(); ++row) {
        std::map<std::int64_t, double> next;
        for (const auto& [bytes, value] : least)
          for (const Change& change : rows[row].changes) {
            const auto [at, added] = next.try_emplace(bytes + change.bytes, value + change.value);
            if (!added) at->second = std::min(at->second, value + change.value);
          }
        least = std::move(next);
      }
      for (std::int64_t room = -60; room <= 60; ++room) {
        double best = std::numeric_limits<double>::infinity();
        for (const auto& [bytes, value] : least)
          if (bytes <= room) best = std::min(best, value);
        EXPECT_LE(undecided.bound(room), best + 1e-9) << "room " << room;
        if (first == rows.size()) {
          EXPECT_EQ(undecided.bound(room), room >= 0 ? 0.0 : best);
        }
      }
      EXPECT_EQ(undecided.bound(0), 0.0);
    }
  }
}

// --- The front -------------------------------------------------------------------------------------------

TEST(SearchFront, IsTheHullOfAllChoices) {
  Random random(9);
  for (int repeat = 0; repeat < 1500; ++repeat) {
    SearchProblem problem = small_problem(random, Costs::small_integers);
    problem.budget = 0;  // which does not count, nor does the price
    problem.price = static_cast<double>(repeat % 2);
    std::map<std::uint64_t, double> least;  // cost by bytes
    for_every_choice(problem, [&](const std::vector<std::size_t>& choice) {
      const auto cost = static_cast<double>(cost_of(problem, choice));
      const auto [at, added] = least.try_emplace(bytes_of(problem, choice), cost);
      if (!added) at->second = std::min(at->second, cost);
    });
    std::vector<std::pair<std::uint64_t, double>> corners;
    for (const auto& [bytes, cost] : least) {
      if (!corners.empty() && cost >= corners.back().second) continue;
      while (corners.size() >= 2) {
        const auto [b1, c1] = corners[corners.size() - 2];
        const auto [b2, c2] = corners.back();
        if ((c1 - c2) * static_cast<double>(bytes - b2) > (c2 - cost) * static_cast<double>(b2 - b1)) break;
        corners.pop_back();
      }
      corners.emplace_back(bytes, cost);
    }
    const std::vector<FrontPoint> front = pareto_front(problem, 1000);
    ASSERT_EQ(front.size(), corners.size());
    for (std::size_t i = 0; i < front.size(); ++i) {
      EXPECT_EQ(front[i].bytes, corners[i].first);
      EXPECT_EQ(front[i].cost, corners[i].second);
      EXPECT_EQ(bytes_of(problem, front[i].choice), front[i].bytes);
      EXPECT_EQ(static_cast<double>(cost_of(problem, front[i].choice)), front[i].cost);
    }
  }
}

TEST(SearchFront, IsThinnedOutEvenly) {
  const SearchProblem problem = model_problem(200, 30, std::nullopt, 10);
  const std::vector<FrontPoint> whole = pareto_front(problem, 1'000'000);
  ASSERT_GT(whole.size(), 1000u);
  for (const std::size_t most : {2, 3, 40, 200}) {
    const std::vector<FrontPoint> thin = pareto_front(problem, most);
    EXPECT_LE(thin.size(), most);
    EXPECT_GE(thin.size(), (most + 1) / 2);
    EXPECT_EQ(thin.front().bytes, whole.front().bytes);
    EXPECT_EQ(thin.back().bytes, whole.back().bytes);
    for (std::size_t i = 0; i + 1 < thin.size(); ++i) {
      EXPECT_LT(thin[i].bytes, thin[i + 1].bytes);
      EXPECT_GT(thin[i].cost, thin[i + 1].cost);
    }
    for (const FrontPoint& point : thin)
      EXPECT_TRUE(std::any_of(whole.begin(), whole.end(), [&](const FrontPoint& other) {
        return other.bytes == point.bytes && other.cost == point.cost;
      }));
  }
}

TEST(SearchFront, EveryCornerIsWhatItsBudgetBuys) {
  SearchProblem problem = model_problem(50, 20, std::nullopt, 11);
  for (const FrontPoint& point : pareto_front(problem, 12)) {
    problem.budget = point.bytes;
    const SearchResult result = search(problem, {});
    EXPECT_EQ(result.gap, 0.0);
    EXPECT_NEAR(result.cost, point.cost, 1e-12 * point.cost);
  }
}

TEST(SearchFront, HasTwoEnds) {
  const SearchProblem problem = model_problem(2, 3, std::nullopt, 12);
  expect_error<UsageError>([&] { pareto_front(problem, 1); },
                           "a front has two ends: fewer points were asked for");
}

}  // namespace
}  // namespace afp
