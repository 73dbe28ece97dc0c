// Search: gives every row of a table of costs one of its columns, at the least total cost, within a budget of
// bytes where there is one. It knows the table and nothing else: no weights, no files, no devices.
//
// A row is what gets one Encoding: a tensor, or several that are tied together. A column is a candidate.
//
//     minimize    sum over rows of cost[row][choice[row]]  (+ price * bytes)
//     subject to  sum over rows of bytes[row][choice[row]] <= budget
//
// which with a budget is the multiple-choice knapsack problem.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace afp {

struct SearchProblem {
  // The cost of a column that a row may not have. A row is pinned by making all its other columns that.
  static constexpr double kUnavailable = std::numeric_limits<double>::infinity();

  // Where a column lies in the plane of bits a weight and exponent bits that annealing walks and the Gaussian
  // process measures distances in. Several columns may lie at one place (other blocks or scales).
  struct Column {
    int bits = 0;
    int exponent_bits = 0;
  };

  std::vector<Column> columns;
  std::size_t rows = 0;
  std::vector<double> costs;            // [row][column], not negative
  std::vector<std::uint64_t> bytes;     // [row][column]
  std::optional<std::uint64_t> budget;  // the most bytes that all rows may take together
  double price = 0.0;                   // of a byte, in the unit of costs

  std::size_t at(std::size_t row, std::size_t column) const { return row * columns.size() + column; }
  bool available(std::size_t row, std::size_t column) const { return costs[at(row, column)] < kUnavailable; }
};

enum class Method : std::uint8_t {
  exact,    // argmin; with a budget Lagrangian relaxation, then an exact solution of what it leaves open
  anneal,   // simulated annealing, many chains
  genetic,  // a population of whole assignments
  bayes,    // Gaussian process with expected improvement, for at most 20 rows
};
// "exact", "anneal", "genetic", "bayes"; throws UsageError for anything else.
Method parse_method(std::string_view text);
std::string_view to_string(Method method);

class ChainRunner;

struct SearchOptions {
  Method method = Method::exact;
  std::uint64_t seed = 0;  // of anneal, genetic and bayes: the same seed, the same result

  // To stop after, roughly; 0: what suits the problem's size. Of `exact`: states of dynamic programming,
  // after which the gap says what is not proven; anneal: moves, of all chains; genetic: individuals; bayes:
  // costs looked at, by default at most half of the table (but for the few of each row that it starts from).
  std::uint64_t evaluations = 0;

  int threads = 0;                          // 0: as many as the machine has; changes no result
  const std::atomic<bool>* stop = nullptr;  // when it becomes true the search ends with Interrupted

  // Annealing by the original's temperatures (100 down to 1 by a factor of 0.8, one move of each row, on
  // average, at each) in the unit of costs, and its rule to stop after five rejections one after another.
  // Else temperatures follow the median change of cost.
  bool original_schedule = false;

  // Of annealing: how many chains, of which the result is the best; 0: at most 16. More of them than that
  // make, unless `evaluations` says otherwise, as many moves each as 16 would.
  std::uint32_t chains = 0;
  // Where they run (afp/chain_runner.hpp); null: on threads. Changes no result.
  ChainRunner* runner = nullptr;
};

struct SearchResult {
  std::vector<std::size_t> choice;  // a column for every row
  double cost = 0.0;                // of the choice, without price
  std::uint64_t bytes = 0;          // of the choice
  double bound = 0.0;               // no choice within the budget costs less (price * bytes included)
  double gap = 0.0;  // (cost + price * bytes - bound) / bound: infinite over a bound of 0, 0 where it is
                     // proven optimal, to within the rounding of sums of doubles

  // How the search went: the least cost found so far (price * bytes included), at each improvement and at the
  // end.
  struct TracePoint {
    std::uint64_t evaluations;
    double seconds;
    double cost;
  };
  std::vector<TracePoint> trace;
  std::uint64_t evaluations = 0;  // as SearchOptions counts them; of `exact` the table's entries as well
  double seconds = 0.0;
};

// Throws UsageError where no choice is within the budget (saying the least possible size in bytes), where a
// row has no available column, where the table's sizes contradict each other, where a cost or the price is
// NaN or negative or costs add up beyond the range of a double, where all rows may take more than 2^62 bytes,
// and where `bayes` has more than 20 rows.
//
// A result depends on the problem, method, seed, evaluations and chains alone: not on threads, time or
// machine. Of bayes, whose linear algebra a compiler may order anew, it holds for one build.
SearchResult search(const SearchProblem& problem, const SearchOptions& options);

// What every budget buys: the corners of the lower convex hull of (bytes, cost) over all choices, by
// ascending bytes, thinned out evenly to at most `most` of them; ends are kept. The problem's own budget and
// price do not count. Throws UsageError as search() does, and for `most` below 2.
struct FrontPoint {
  std::uint64_t bytes = 0;
  double cost = 0.0;
  std::vector<std::size_t> choice;
};
std::vector<FrontPoint> pareto_front(const SearchProblem& problem, std::size_t most);

}  // namespace afp
