// From a cost table to the problem that a search solves: which tensors share a row, which columns a row may
// have.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "afp/model_search.hpp"

namespace afp {

struct ModelProblem {
  std::vector<const TensorCosts*> tensors;       // the selected ones, in checkpoint order
  std::vector<std::vector<std::size_t>> groups;  // the problem's rows, of indices into `tensors`
  SearchProblem problem;                         // columns: the table's candidates, then perhaps "keep"
  std::vector<std::optional<std::size_t>> pins;  // of the tensors: the column that a rule gives it
  std::optional<std::size_t> keep_column;
  std::size_t offered = 0;        // columns to choose from where no rule pins one
  std::vector<std::string> kept;  // of every tensor of the checkpoint why it is kept; empty: selected

  std::uint64_t weights = 0;  // of the selected tensors
  double signal = 0.0;

  // Of a choice of one column a row.
  bool is_pinned(std::size_t group) const { return pins[groups[group][0]].has_value(); }
  std::vector<std::size_t> by_tensor(std::span<const std::size_t> choice) const;
  CandidateCost cost(std::size_t tensor, std::size_t column) const;  // 0 for keep
  std::uint64_t bytes(const CostTable& table, std::size_t tensor, std::size_t column) const;
};

// Throws what search_model() throws for tables, rules and ties that do not fit the checkpoint.
ModelProblem build_problem(const Checkpoint& input, const CostTable& table,
                           const ModelSearchOptions& options);

}  // namespace afp
