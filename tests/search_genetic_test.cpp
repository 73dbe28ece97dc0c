// The genetic solver, and the repair that keeps its individuals within the budget.
#include <gtest/gtest.h>

#include <algorithm>

#include "host/search/hulls.hpp"
#include "host/search/repair.hpp"
#include "search_problems.hpp"

namespace afp {
namespace {

using search_detail::Item;

TEST(SearchRepair, FitsAndLeavesNothingToGain) {
  Random random(1);
  for (const Costs kind : {Costs::even, Costs::small_integers, Costs::powers})
    for (int repeat = 0; repeat < 1500; ++repeat) {
      SearchProblem problem = small_problem(random, kind);
      problem.price = 0.0;
      const std::uint64_t budget = optimum_of(problem).least_bytes + random_below(random, 25);
      const auto items = search_detail::reduce_rows(problem).undominated;
      std::vector<Item> choice;
      for (std::size_t row = 0; row < problem.rows; ++row) {
        std::uint32_t column = 0;
        do {
          column = static_cast<std::uint32_t>(random_below(random, problem.columns.size()));
        } while (!problem.available(row, column));
        choice.push_back(
            {problem.bytes[problem.at(row, column)], problem.costs[problem.at(row, column)], column});
      }
      search_detail::Repair(items, budget)(choice);
      std::uint64_t bytes = 0;
      for (std::size_t row = 0; row < problem.rows; ++row) {
        const std::size_t at = problem.at(row, choice[row].column);
        EXPECT_EQ(choice[row].bytes, problem.bytes[at]);
        EXPECT_EQ(choice[row].value, problem.costs[at]);
        bytes += choice[row].bytes;
      }
      EXPECT_LE(bytes, budget);
      for (std::size_t row = 0; row < problem.rows; ++row)
        for (const Item& other : items.row(row))
          EXPECT_FALSE(other.value < choice[row].value && bytes - choice[row].bytes + other.bytes <= budget)
              << "a row could still gain within the budget";
    }
}

TEST(SearchRepair, LosesLeastAByte) {
  // Over by 4: row 0 loses 1 a byte, row 1 loses 3 a byte.
  SearchProblem problem;
  problem.rows = 2;
  problem.columns.resize(2);
  problem.costs = {4.0, 0.0, 12.0, 0.0};
  problem.bytes = {0, 4, 0, 4};
  const auto items = search_detail::reduce_rows(problem).undominated;
  std::vector<Item> choice = {{4, 0.0, 1}, {4, 0.0, 1}};
  search_detail::Repair(items, 4)(choice);
  EXPECT_EQ(choice[0].column, 0u);
  EXPECT_EQ(choice[1].column, 1u);
}

TEST(SearchRepair, SpendsWhatIsLeftWhereItSavesMost) {
  SearchProblem problem;
  problem.rows = 2;
  problem.columns.resize(2);
  problem.costs = {4.0, 0.0, 12.0, 0.0};
  problem.bytes = {0, 4, 0, 4};
  const auto items = search_detail::reduce_rows(problem).undominated;
  std::vector<Item> choice = {{0, 4.0, 0}, {0, 12.0, 0}};
  search_detail::Repair(items, 7)(choice);
  EXPECT_EQ(choice[0].column, 0u);
  EXPECT_EQ(choice[1].column, 1u);
}

TEST(SearchRepair, PrefersTheSteepestStepOfARow) {
  // Row 0: 8 for 1 byte or 10 for 4; row 1: 7 for 3. With 4 bytes, 8 + 7.
  SearchProblem problem;
  problem.rows = 2;
  problem.columns.resize(3);
  problem.costs = {10.0, 2.0, 0.0, 7.0, 0.0, SearchProblem::kUnavailable};
  problem.bytes = {0, 1, 4, 0, 3, 0};
  const auto items = search_detail::reduce_rows(problem).undominated;
  std::vector<Item> choice = {{0, 10.0, 0}, {0, 7.0, 0}};
  search_detail::Repair(items, 4)(choice);
  EXPECT_EQ(choice[0].column, 1u);
  EXPECT_EQ(choice[1].column, 1u);
}

TEST(SearchGenetic, ComesNearTheOptimum) {
  for (const std::uint64_t seed : {1, 2})
    for (const double budget : {0.1, 0.5}) {
      const SearchProblem problem = model_problem(224, 7, budget, seed);
      SearchOptions options;
      options.method = Method::genetic;
      options.evaluations = 6'000;
      const SearchResult result = search(problem, options);
      EXPECT_LE(result.cost, 1.01 * search(problem, {}).cost);
      EXPECT_LE(result.bytes, *problem.budget);
    }
}

TEST(SearchGenetic, WorksWithoutABudget) {
  const SearchProblem problem = model_problem(30, 7, std::nullopt, 3);
  SearchOptions options;
  options.method = Method::genetic;
  EXPECT_LE(search(problem, options).gap, 0.01);
}

TEST(SearchGenetic, KeepsItsElite) {
  const SearchProblem problem = model_problem(40, 15, 0.3, 4);
  SearchOptions options;
  options.method = Method::genetic;
  double before = std::numeric_limits<double>::infinity();
  for (const std::uint64_t evaluations : {64, 500, 1'000, 3'000}) {
    options.evaluations = evaluations;
    const double cost = search(problem, options).cost;
    EXPECT_LE(cost, before * (1.0 + 1e-14));
    before = cost;
  }
}

}  // namespace
}  // namespace afp
