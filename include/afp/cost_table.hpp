// CostTable: what every candidate costs every tensor of a checkpoint. Measured once, it answers any budget.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "afp/encoding.hpp"
#include "afp/objective.hpp"
#include "afp/tensor.hpp"

namespace afp {

struct TensorCosts {
  TensorInfo tensor;
  std::string digest;   // XXH3-128 of its bytes: tensors of equal data get one Encoding
  double signal = 0.0;  // sum of the squared weights
  std::vector<std::optional<CandidateCost>> candidates;  // in the table's order; absent: not measured
};

struct CostTable {
  std::string file;  // that it was read from, for messages
  Objective objective = Objective::mse;
  bool weighted = false;         // by an importance file
  std::string effort = "exact";  // or "fast": how the scales of small blocks were searched
  std::uint32_t sample = 1;  // row and small blocks: one in so many was measured, and the result scaled up
  std::vector<Encoding> candidates;
  std::vector<TensorCosts> tensors;  // in checkpoint order; tensors that are kept are not there

  const TensorCosts* find(std::string_view name) const;               // null when absent
  std::optional<std::size_t> column(const Encoding& encoding) const;  // of this candidate
};

// The text ends with a digest of itself: a truncated or edited table is refused. parse_cost_table throws
// InputError that names `file`.
std::string to_json(const CostTable& table);
CostTable parse_cost_table(std::string_view json, const std::string& file);

}  // namespace afp
