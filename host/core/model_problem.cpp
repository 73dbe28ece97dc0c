// Bodies of model_problem.hpp.
#include "host/core/model_problem.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include "afp/error.hpp"
#include "afp/packed_tensor.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/core/name_pattern.hpp"

namespace afp {
namespace {

std::string describe(const TensorInfo& tensor) {
  return std::string(dtype_name(tensor.dtype)) + " " + to_string(tensor.shape);
}

// Every row of the table must be of this checkpoint.
std::unordered_map<std::string, const TensorCosts*> rows_by_name(const Checkpoint& input,
                                                                 const CostTable& table) {
  std::unordered_map<std::string, const TensorCosts*> rows;
  for (const TensorCosts& row : table.tensors) {
    const CheckpointTensor* tensor = input.find(row.tensor.name);
    if (tensor == nullptr)
      throw InputError("is in the cost table, but not in the model", table.file, row.tensor.name);
    if (tensor->dtype != row.tensor.dtype || tensor->shape != row.tensor.shape)
      throw InputError("is " + describe(*tensor) + " in the model; the cost table was measured for " +
                           describe(row.tensor),
                       table.file, row.tensor.name);
    rows[row.tensor.name] = &row;
  }
  return rows;
}

// Sets of tensors that get one Encoding, by union of whatever ties them.
class Ties {
 public:
  explicit Ties(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }

  // The first of the two sets' first members stays the first.
  void tie(std::size_t a, std::size_t b) {
    a = first(a);
    b = first(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }
  std::size_t first(std::size_t i) const {
    while (parent_[i] != i) i = parent_[i];
    return i;
  }

 private:
  std::vector<std::size_t> parent_;
};

template <class Key, class KeyOf>
void tie_equal(Ties& ties, std::size_t count, const KeyOf& key_of) {
  std::map<Key, std::size_t> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<Key> key = key_of(i);
    if (!key) continue;
    const auto [place, is_new] = seen.emplace(*key, i);
    if (!is_new) ties.tie(place->second, i);
  }
}

// A tensor that a rule pins is tied to none.
Ties tie_tensors(const std::vector<const TensorCosts*>& tensors,
                 const std::vector<std::optional<std::size_t>>& pins, const ModelSearchOptions& options) {
  Ties ties(tensors.size());
  if (options.uniform) {
    tie_equal<bool>(ties, tensors.size(),
                    [&](std::size_t i) { return pins[i] ? std::nullopt : std::optional(true); });
    return ties;
  }
  tie_equal<std::string>(ties, tensors.size(), [&](std::size_t i) -> std::optional<std::string> {
    if (pins[i]) return std::nullopt;
    return tensors[i]->digest + describe(tensors[i]->tensor);
  });
  std::vector<std::string_view> names;
  for (const TensorCosts* row : tensors) names.push_back(row->tensor.name);
  for (const std::string& text : options.ties) {
    const TiePattern pattern(text);
    bool matched = false;
    tie_equal<std::string>(ties, tensors.size(), [&](std::size_t i) {
      std::optional<std::string> captured = pattern.captured(tensors[i]->tensor.name);
      matched = matched || captured;
      return pins[i] ? std::nullopt : captured;
    });
    if (matched) continue;
    const std::string nearest = nearest_name(text, names);
    throw UsageError("tie " + in_quotes(text) + " matches no selected tensor" +
                     (nearest.empty() ? std::string() : "; the nearest name is " + in_quotes(nearest)));
  }
  return ties;
}

template <class Value>
bool holds(const std::vector<Value>& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Which columns are to be had where no rule pins one.
std::vector<bool> offered_columns(const CostTable& table, const ModelSearchOptions& options) {
  std::vector<bool> offered(table.candidates.size(), true);
  if (!options.space) return offered;
  const CandidateSpace& space = *options.space;
  for (std::size_t c = 0; c < offered.size(); ++c) {
    const Encoding& encoding = table.candidates[c];
    const bool has_exponent = space.exponent_bits.empty() ||
                              (!encoding.alternative &&
                               holds(space.exponent_bits, static_cast<int>(encoding.format.exponent_bits)));
    offered[c] = holds(space.bits, encoding.bits()) && has_exponent && holds(space.blocks, encoding.block) &&
                 (space.scales.empty() || holds(space.scales, encoding.scale));
  }
  if (!table.candidates.empty() && !holds(offered, true))
    throw UsageError("the cost table has no candidate of " + in_quotes(to_string(space)));
  return offered;
}

}  // namespace

std::vector<std::size_t> ModelProblem::by_tensor(std::span<const std::size_t> choice) const {
  std::vector<std::size_t> columns(tensors.size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const std::size_t t : groups[g]) columns[t] = choice[g];
  return columns;
}

CandidateCost ModelProblem::cost(std::size_t tensor, std::size_t column) const {
  if (column == keep_column) return {};
  return *tensors[tensor]->candidates[column];
}

std::uint64_t ModelProblem::bytes(const CostTable& table, std::size_t tensor, std::size_t column) const {
  const TensorInfo& info = tensors[tensor]->tensor;
  return column == keep_column ? info.bytes() : packed_size(table.candidates[column], info.shape);
}

ModelProblem build_problem(const Checkpoint& input, const CostTable& table,
                           const ModelSearchOptions& options) {
  ModelProblem model;
  const auto rows = rows_by_name(input, table);
  const std::vector<TensorInfo> infos(input.tensors().begin(), input.tensors().end());
  const std::vector<Selection> selections = select_tensors(infos, {}, options.rules);
  std::vector<std::optional<std::size_t>>& pins = model.pins;
  for (std::size_t t = 0; t < infos.size(); ++t) {
    model.kept.push_back(selections[t].kept);
    if (!selections[t].request) continue;
    const auto row = rows.find(infos[t].name);
    if (row == rows.end())
      throw InputError("is to be quantized, but the cost table lacks it", table.file, infos[t].name);
    std::optional<std::size_t>& pin = pins.emplace_back();
    if (const std::optional<Encoding>& pinned = selections[t].request->encoding) {
      pin = table.column(*pinned);
      if (!pin || !row->second->candidates[*pin])
        throw InputError("is to be " + to_string(*pinned) + ", which the cost table lacks", table.file,
                         infos[t].name);
    }
    model.tensors.push_back(row->second);
    model.weights += infos[t].elements();
    model.signal += row->second->signal;
  }

  const Ties ties = tie_tensors(model.tensors, pins, options);
  std::vector<std::size_t> group_of(model.tensors.size());
  for (std::size_t t = 0; t < model.tensors.size(); ++t) {
    const std::size_t first = ties.first(t);
    if (first == t) {
      group_of[t] = model.groups.size();
      model.groups.emplace_back();
    }
    group_of[t] = group_of[first];
    model.groups[group_of[t]].push_back(t);
  }

  SearchProblem& problem = model.problem;
  for (const Encoding& encoding : table.candidates)
    problem.columns.push_back({encoding.bits(), encoding.format.exponent_bits});
  if (options.keep) {
    // Of the widest dtype a weight may stay in: bf16 has 8 exponent bits.
    model.keep_column = problem.columns.size();
    problem.columns.push_back({16, 8});
  }
  const std::vector<bool> offered = offered_columns(table, options);
  model.offered =
      static_cast<std::size_t>(std::count(offered.begin(), offered.end(), true)) + (options.keep ? 1 : 0);
  problem.rows = model.groups.size();
  problem.costs.assign(problem.rows * problem.columns.size(), 0.0);
  problem.bytes.assign(problem.rows * problem.columns.size(), 0);
  for (std::size_t g = 0; g < model.groups.size(); ++g) {
    for (std::size_t c = 0; c < problem.columns.size(); ++c) {
      double& cost = problem.costs[problem.at(g, c)];
      for (const std::size_t t : model.groups[g]) {
        const bool allowed =
            pins[t] ? c == *pins[t]
                    : c == model.keep_column || (offered[c] && model.tensors[t]->candidates[c].has_value());
        cost = allowed ? cost + model.cost(t, c).cost : SearchProblem::kUnavailable;
        if (!allowed) break;
        problem.bytes[problem.at(g, c)] += model.bytes(table, t, c);
      }
    }
    bool any = false;
    for (std::size_t c = 0; c < problem.columns.size(); ++c) any = any || problem.available(g, c);
    if (!any) {
      const std::vector<std::size_t>& group = model.groups[g];
      throw UsageError("tensor '" + model.tensors[group[0]]->tensor.name +
                       (group.size() == 1 ? "' has no candidate that was measured"
                                          : "' and those tied to it have no candidate in common"));
    }
  }
  return model;
}

}  // namespace afp
