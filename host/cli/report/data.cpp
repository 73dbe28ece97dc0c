// What a search over a model leaves, as the data of its report.
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "host/cli/report/report.hpp"

namespace afp::cli {
namespace {

using ByName = std::map<std::string_view, const TensorCosts*>;

// Nothing where the table has no such candidate of the tensor.
std::optional<double> squared_error_of(const TensorCosts& costs, const CostTable& table,
                                       const Encoding& encoding) {
  const std::optional<std::size_t> column = table.column(encoding);
  if (!column || *column >= costs.candidates.size() || !costs.candidates[*column]) return std::nullopt;
  return costs.candidates[*column]->squared_error;
}

ReportTensor report_tensor(const PlanEntry& entry, const TensorInfo& info, const CostTable& table,
                           const ByName& measured) {
  ReportTensor tensor;
  tensor.name = entry.name;
  tensor.shape = info.shape;
  tensor.encoding = entry.encoding;
  tensor.kept = entry.kept;
  tensor.bytes = entry.bytes;
  const auto costs = measured.find(entry.name);
  if (costs == measured.end()) return tensor;
  tensor.signal = costs->second->signal;
  if (entry.encoding) tensor.squared_error = squared_error_of(*costs->second, table, *entry.encoding);
  return tensor;
}

}  // namespace

ReportData report_data(const ModelSearchResult& result, const ModelFront& front, const CostTable& table,
                       const std::vector<TensorInfo>& tensors) {
  ReportData data;
  data.objective = table.objective;
  data.weighted = table.weighted;
  data.sample = table.sample;
  data.file_bytes = result.file_bytes;
  data.weights = result.weights;
  data.selected_bytes = result.selected_bytes;
  data.signal = result.signal;
  data.squared_error = result.squared_error;
  data.cost = result.search.cost;
  data.bound = result.search.bound;
  if (std::isfinite(result.search.gap)) data.gap = result.search.gap;
  data.evaluations = result.search.evaluations;
  data.trace = result.search.trace;
  data.front = front;
  ByName measured;
  for (const TensorCosts& costs : table.tensors) measured.emplace(costs.tensor.name, &costs);
  for (std::size_t i = 0; i < result.plan.tensors.size() && i < tensors.size(); ++i)
    data.tensors.push_back(report_tensor(result.plan.tensors[i], tensors[i], table, measured));
  return data;
}

}  // namespace afp::cli
