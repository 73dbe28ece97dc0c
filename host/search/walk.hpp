// What the chains of annealing share: the table, every row's neighbourhood, and the least assignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "afp/annealing.hpp"
#include "afp/search.hpp"
#include "host/search/hulls.hpp"
#include "host/search/neighbourhood.hpp"
#include "host/search/repair.hpp"

namespace afp::search_detail {

class Walk {
 public:
  // The problem must live as long.
  explicit Walk(const SearchProblem& problem);
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // For the steps of chains, of seed 0 and without a limit of rejections. There must be a free row.
  AnnealingProblem problem() const;
  const ProposalTable& table() const { return table_; }
  std::size_t rows() const { return neighbourhood_of_.size(); }
  const std::vector<std::uint32_t>& free_rows() const { return free_rows_; }  // that have a choice at all
  std::span<const std::uint32_t> available(std::size_t row) const {
    return neighbourhoods_[neighbourhood_of_[row]].available();
  }
  const std::vector<std::uint32_t>& smallest() const {
    return smallest_;
  }  // column of every row, fewest bytes

  double value(const std::uint32_t* choices) const { return assignment_value(table_, rows(), choices); }

  // The assignment brought within the budget, and its value. There must be a budget.
  double repair(std::vector<std::uint32_t>& choices) const;

 private:
  std::vector<double> values_;
  ProposalTable table_;
  std::vector<Neighbourhood> neighbourhoods_;    // of every set of available columns
  MoveArrays moves_;                             // of them all
  std::vector<std::uint32_t> neighbourhood_of_;  // row
  std::vector<std::uint32_t> free_rows_;
  std::vector<std::uint32_t> smallest_;
  ItemRows items_;  // undominated, where there is a budget
  std::optional<Repair> repair_;
};

}  // namespace afp::search_detail
