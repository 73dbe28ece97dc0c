// What a search over a model leaves, as the data of its report.
#include <cmath>
#include <utility>

#include "host/cli/report.hpp"

namespace afp::cli {
namespace {

ReportTensor report_tensor(const PlanEntry& entry, const TensorInfo& info, const CostTable& table) {
  ReportTensor tensor;
  tensor.name = entry.name;
  tensor.shape = info.shape;
  tensor.encoding = entry.encoding;
  tensor.kept = entry.kept;
  tensor.source_bytes = info.bytes();
  tensor.bytes = entry.bytes;
  const TensorCosts* costs = table.find(entry.name);
  if (costs == nullptr) return tensor;
  tensor.signal = costs->signal;
  if (!entry.encoding) return tensor;
  const std::optional<std::size_t> column = table.column(*entry.encoding);
  if (column && *column < costs->candidates.size() && costs->candidates[*column])
    tensor.squared_error = costs->candidates[*column]->squared_error;
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
  for (std::size_t i = 0; i < result.plan.tensors.size() && i < tensors.size(); ++i)
    data.tensors.push_back(report_tensor(result.plan.tensors[i], tensors[i], table));
  return data;
}

}  // namespace afp::cli
