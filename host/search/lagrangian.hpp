// The Lagrangian relaxation of a budget: a price for every byte, so that rows are independent. The best price
// is found exactly, as that of the linear relaxation: the steps of all rows' hulls, steepest first, until the
// budget is spent. See Pisinger, "A minimal algorithm for the multiple-choice knapsack problem" (1995).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "host/search/hulls.hpp"

namespace afp::search_detail {

// One step on the hull of a row, from corner `to` - 1 to corner `to`.
struct HullStep {
  double slope;
  std::uint32_t row;
  std::uint32_t to;
};
// Of all rows, steepest first; equal ones by row. The steps of one row keep their order, for their slopes
// descend.
std::vector<HullStep> sorted_steps(const ItemRows& hull);

struct Relaxation {
  std::vector<std::uint32_t>
      base;  // corner of every row: what the steps before the first that did not fit buy
  double base_value = 0.0;
  std::uint64_t room = 0;      // bytes left
  double price = 0.0;          // of a byte: the slope of that step; 0 where all fit
  double bound = 0.0;          // no choice within the budget has less value
  std::size_t split_step = 0;  // the number of steps that fit
};
// The budget must hold the smallest items.
Relaxation relax(const ItemRows& hull, const std::vector<HullStep>& steps, std::uint64_t budget);

// The relaxation's base, and then every later step that continues its row and still fits: corners.
std::vector<std::uint32_t> greedy_corners(const ItemRows& hull, const std::vector<HullStep>& steps,
                                          const Relaxation& relaxation);

// The bound of relax() for a problem, whether it has a budget or not, and the price of a byte beyond
// SearchProblem::price (0 without a budget, or where it does not bind).
struct DualBound {
  double bound = 0.0;
  double price = 0.0;
};
DualBound dual_bound(const SearchProblem& problem);

}  // namespace afp::search_detail
