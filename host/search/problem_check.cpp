#include "host/search/problem_check.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "afp/error.hpp"

namespace afp::search_detail {
namespace {

void check_size(std::size_t found, std::size_t expected, const char* what) {
  if (found != expected)
    throw UsageError("the table has " + std::to_string(found) + " " + what +
                     ", not rows times columns: " + std::to_string(expected));
}

}  // namespace

void check_problem(const SearchProblem& problem, bool any_budget) {
  const std::size_t columns = problem.columns.size();
  if (columns == 0) throw UsageError("there is no column to choose from");
  check_size(problem.costs.size(), problem.rows * columns, "costs");
  check_size(problem.bytes.size(), problem.rows * columns, "sizes");
  if (!(problem.price >= 0.0) || std::isinf(problem.price))
    throw UsageError("the price of a byte is not a finite number from 0 on");

  std::uint64_t least_bytes = 0, most_bytes = 0;
  double most_cost = 0.0;
  for (std::size_t row = 0; row < problem.rows; ++row) {
    std::uint64_t least = kMostBytes, most = 0;
    double greatest = 0.0;
    bool any = false;
    for (std::size_t column = 0; column < columns; ++column) {
      const double cost = problem.costs[problem.at(row, column)];
      if (!(cost >= 0.0))
        throw UsageError("row " + std::to_string(row) + ", column " + std::to_string(column) +
                         ": a cost is a number from 0 on, this is " +
                         (std::isnan(cost) ? "NaN" : "negative"));
      if (!problem.available(row, column)) continue;
      const std::uint64_t bytes = problem.bytes[problem.at(row, column)];
      any = true;
      least = std::min(least, bytes);
      most = std::max(most, bytes);
      greatest = std::max(greatest, cost + problem.price * static_cast<double>(bytes));
    }
    if (!any) throw UsageError("row " + std::to_string(row) + " has no available column");
    if (most > kMostBytes - most_bytes) throw UsageError("the rows together take more than 2^62 bytes");
    least_bytes += least;
    most_bytes += most;
    most_cost += greatest;
  }
  if (!std::isfinite(most_cost)) throw UsageError("the sum of costs is beyond the range of a double");
  if (!any_budget && problem.budget && *problem.budget < least_bytes)
    throw UsageError("the budget of " + std::to_string(*problem.budget) +
                     " bytes is below the least possible size, " + std::to_string(least_bytes) + " bytes");
}

}  // namespace afp::search_detail
