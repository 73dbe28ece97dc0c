// Problems for the tests of the solvers: small random ones with all that is awkward, larger ones that look
// like a model's, and the optimum by trying everything in long double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "afp/search.hpp"

namespace afp {

using Random = std::mt19937_64;

inline std::uint64_t random_below(Random& random, std::uint64_t count) {
  return random() % count;
}
inline double random_unit(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

// Calls visit(choice) for every choice of available columns.
template <class Visit>
void for_every_choice(const SearchProblem& problem, const Visit& visit) {
  std::vector<std::size_t> choice(problem.rows, 0);
  while (true) {
    bool available = true;
    for (std::size_t row = 0; row < problem.rows; ++row)
      available = available && problem.available(row, choice[row]);
    if (available) visit(choice);
    std::size_t row = 0;
    while (row < problem.rows && ++choice[row] == problem.columns.size()) choice[row++] = 0;
    if (row == problem.rows) return;
  }
}

inline std::uint64_t bytes_of(const SearchProblem& problem, const std::vector<std::size_t>& choice) {
  std::uint64_t bytes = 0;
  for (std::size_t row = 0; row < problem.rows; ++row) bytes += problem.bytes[problem.at(row, choice[row])];
  return bytes;
}
inline long double cost_of(const SearchProblem& problem, const std::vector<std::size_t>& choice) {
  long double cost = 0.0L;
  for (std::size_t row = 0; row < problem.rows; ++row) cost += problem.costs[problem.at(row, choice[row])];
  return cost;
}
inline long double value_of(const SearchProblem& problem, const std::vector<std::size_t>& choice) {
  return cost_of(problem, choice) +
         static_cast<long double>(problem.price) * static_cast<long double>(bytes_of(problem, choice));
}

struct Optimum {
  long double value = std::numeric_limits<long double>::infinity();  // that where nothing fits
  std::uint64_t least_bytes = std::numeric_limits<std::uint64_t>::max();
};
inline Optimum optimum_of(const SearchProblem& problem) {
  Optimum best;
  for_every_choice(problem, [&](const std::vector<std::size_t>& choice) {
    const std::uint64_t bytes = bytes_of(problem, choice);
    best.least_bytes = std::min(best.least_bytes, bytes);
    if (!problem.budget || bytes <= *problem.budget)
      best.value = std::min(best.value, value_of(problem, choice));
  });
  return best;
}

// What can be awkward about costs.
enum class Costs { small_integers, even, nearly_equal, huge, powers, with_zeros };
inline double random_cost(Random& random, Costs kind) {
  switch (kind) {
    case Costs::small_integers:
      return static_cast<double>(random_below(random, 4));
    case Costs::even:
      return random_unit(random);
    case Costs::nearly_equal:
      return 1.0 + 1e-12 * static_cast<double>(random_below(random, 8));
    case Costs::huge:
      return 1e300 * random_unit(random);
    case Costs::powers:
      return std::ldexp(1.0, -2 * static_cast<int>(random_below(random, 9)));
    case Costs::with_zeros:
      break;
  }
  return static_cast<double>(random_below(random, 3)) * random_unit(random);
}

// At most 5 x 5, with pins, missing columns, equal sizes and sizes of gigabytes; no budget.
inline SearchProblem small_problem(Random& random, Costs kind) {
  SearchProblem problem;
  problem.rows = 1 + random_below(random, 5);
  const std::size_t columns = 1 + random_below(random, 5);
  for (std::size_t column = 0; column < columns; ++column)
    problem.columns.push_back(
        {static_cast<int>(random_below(random, 6)), static_cast<int>(random_below(random, 4))});
  const bool gigabytes = random_below(random, 3) == 0;
  for (std::size_t i = 0; i < problem.rows * columns; ++i) {
    problem.costs.push_back(random_below(random, 8) == 0 ? SearchProblem::kUnavailable
                                                         : random_cost(random, kind));
    problem.bytes.push_back(gigabytes ? random_below(random, 9) * 1'000'000'007
                                      : random_below(random, random_below(random, 3) == 0 ? 4 : 20));
  }
  for (std::size_t row = 0; row < problem.rows; ++row) {
    const std::size_t sure = random_below(random, columns);
    problem.costs[problem.at(row, sure)] = random_cost(random, kind);
    if (random_below(random, 6) == 0)  // pinned
      for (std::size_t column = 0; column < columns; ++column)
        if (column != sure) problem.costs[problem.at(row, column)] = SearchProblem::kUnavailable;
  }
  if (random_below(random, 4) == 0) problem.price = static_cast<double>(random_below(random, 10)) * 0.1;
  return problem;
}

// Rows of very different sizes whose costs fall about fourfold a bit; `budget`: of the way from the smallest
// choice to the largest.
inline SearchProblem model_problem(std::size_t rows, std::size_t columns, std::optional<double> budget,
                                   std::uint64_t seed) {
  Random random(seed);
  SearchProblem problem;
  problem.rows = rows;
  for (std::size_t column = 0; column < columns; ++column) {
    const int bits = 2 + static_cast<int>(column % 7);
    problem.columns.push_back({bits, static_cast<int>(column / 7) % bits});
  }
  std::uint64_t least = 0, most = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto weights = static_cast<std::uint64_t>(std::exp(7.0 + 11.0 * random_unit(random))) / 32 * 32;
    const double scale = static_cast<double>(weights) * std::exp(4.0 * random_unit(random) - 8.0);
    std::uint64_t row_least = std::numeric_limits<std::uint64_t>::max(), row_most = 0;
    for (std::size_t column = 0; column < columns; ++column) {
      const std::uint64_t block = std::uint64_t{16} << (column / 7 % 4);
      const auto bits = static_cast<std::uint64_t>(problem.columns[column].bits);
      const std::uint64_t bytes = weights * bits / 8 + weights / block;
      problem.costs.push_back(scale *
                              std::ldexp(0.7 + 0.6 * random_unit(random), -2 * static_cast<int>(bits)));
      problem.bytes.push_back(bytes);
      row_least = std::min(row_least, bytes);
      row_most = std::max(row_most, bytes);
    }
    least += row_least;
    most += row_most;
  }
  if (budget)
    problem.budget = least + static_cast<std::uint64_t>(static_cast<double>(most - least) * *budget);
  return problem;
}

}  // namespace afp
