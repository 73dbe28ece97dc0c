// What the chains of annealing share: the table, every row's neighbourhood, and the least assignment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "afp/search.hpp"
#include "host/search/hulls.hpp"
#include "host/search/neighbourhood.hpp"
#include "host/search/proposals.hpp"
#include "host/search/repair.hpp"

namespace afp::search_detail {

class Walk {
 public:
  // The problem must live as long.
  explicit Walk(const SearchProblem& problem);
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  const ProposalTable& table() const { return table_; }
  std::size_t rows() const { return neighbourhood_of_.size(); }
  const std::vector<std::uint32_t>& free_rows() const { return free_rows_; }  // that have a choice at all
  const Neighbourhood& neighbourhood(std::size_t row) const {
    return neighbourhoods_[neighbourhood_of_[row]];
  }
  const std::vector<std::uint32_t>& smallest() const {
    return smallest_;
  }  // column of every row, fewest bytes

  // A move drawn by the first three words from an assignment, evenly among the rows; no move is drawn as the
  // row's own column. There must be a free row.
  Proposal draw(const std::uint32_t* choices, const std::array<std::uint32_t, 4>& words) const {
    const auto count = static_cast<std::uint32_t>(free_rows_.size());
    const std::uint32_t row = free_rows_[below(count, words[0])];
    const std::uint32_t own = choices[row];
    const std::uint32_t column =
        neighbourhood(row).draw(own, words[1] << 16, words[1] & 0xFFFF0000, words[2]);
    return {row, column == Neighbourhood::kNone ? own : column};
  }

  double value(const std::uint32_t* choices) const;
  std::uint64_t bytes(const std::uint32_t* choices) const;

  // The assignment brought within the budget, and its value. There must be a budget.
  double repair(std::vector<std::uint32_t>& choices) const;

 private:
  std::vector<double> values_;
  ProposalTable table_{};
  std::vector<Neighbourhood> neighbourhoods_;    // of every set of available columns
  std::vector<std::uint32_t> neighbourhood_of_;  // row
  std::vector<std::uint32_t> free_rows_;
  std::vector<std::uint32_t> smallest_;
  ItemRows items_;  // undominated, where there is a budget
  std::optional<Repair> repair_;
};

}  // namespace afp::search_detail
