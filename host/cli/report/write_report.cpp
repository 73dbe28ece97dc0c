// The report of a search, put together from what ran and written.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "afp/text_file.hpp"
#include "afp_build.hpp"
#include "host/cli/report/histogram.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/report/report.hpp"
#include "host/cli/search_run.hpp"

namespace afp::cli {
namespace {

std::string model_name(const Checkpoint& input) {
  const std::filesystem::path path = std::filesystem::weakly_canonical(input.path());
  return (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
}

// The corners of the hull, and between them what the page compares single Encodings with: the best mix of
// each one's size, and for squared errors the smallest of its SQNR and of 99 % of that.
ModelFront front_of(const Checkpoint& input, const SearchRequest& request, const SearchRun& run) {
  constexpr std::size_t kMostCompared = 16;
  constexpr double kMostBpw = 60.0;  // beyond it is padding, and no budget
  ModelSearchOptions mixed = request.model;
  mixed.uniform = false;
  mixed.space.reset();
  mixed.solver = {};
  mixed.target_bpw.reset();
  mixed.target_size.reset();
  mixed.target_sqnr.reset();
  ModelFront front = model_front(input, run.table, mixed);
  if (front.uniform.size() > kMostCompared) return front;
  const bool decibels = run.table.objective == Objective::mse && !run.table.weighted;
  const auto add = [&](const ModelSearchOptions& wanted) {
    const ModelSearchResult found = search_model(input, run.table, wanted);
    double cost = 0.0;
    for (const PlanEntry& entry : found.plan.tensors) cost += entry.cost.value_or(0.0);
    front.mixed.push_back({found.selected_bytes, found.bpw(), cost, found.squared_error});
  };
  for (const UniformPoint& point : front.uniform) {
    ModelSearchOptions wanted = mixed;
    if (point.bpw < kMostBpw) {
      wanted.target_bpw = point.bpw * (1.0 + 1e-12);
      add(wanted);
    }
    const double sqnr = sqnr_db_of(run.result.signal, point.squared_error);
    if (!decibels || !(sqnr > 0.0) || std::isinf(sqnr)) continue;  // of what loses nothing there is no share
    wanted.target_bpw.reset();
    for (const double share : {1.0, 0.99}) {
      wanted.target_sqnr = share * sqnr;
      add(wanted);
    }
  }
  // Ascending, without what is larger and no better than another.
  std::stable_sort(front.mixed.begin(), front.mixed.end(),
                   [](const ModelFrontPoint& a, const ModelFrontPoint& b) {
                     return std::pair(a.bytes, a.cost) < std::pair(b.bytes, b.cost);
                   });
  std::vector<ModelFrontPoint> kept;
  for (const ModelFrontPoint& point : front.mixed)
    if (kept.empty() || point.cost < kept.back().cost) kept.push_back(point);
  front.mixed = std::move(kept);
  return front;
}

}  // namespace

void write_report(const Checkpoint& input, const SearchRequest& request, const SearchRun& run,
                  const RunOptions& options, const std::string& command) {
  if (!request.report_file) return;
  const ModelFront front = request.original ? ModelFront() : front_of(input, request, run);
  ReportData data =
      report_data(run.result, front, run.table, {input.tensors().begin(), input.tensors().end()});
  data.model = model_name(input);
  data.command = command;
  data.program = fmt::format("afp {} ({})", kVersion, kCommit);
  data.method = to_string(request.model.solver.method);
  data.budget = request.budget_text;
  data.candidates = request.candidates_text;
  for (const CheckpointShard& shard : input.shards()) data.source_bytes += shard.file_bytes;
  if (run.result.minimizes_size) {  // bound and gap are of bytes
    data.bound = data.cost;
    if (run.result.search.gap > 0.0) data.gap.reset();
  }
  for (const UniformChoice& choice : run.uniform)
    data.uniform.push_back({choice.bits, choice.exponent_bits, choice.cost, choice.penalty, choice.score});
  data.uniform_chosen = run.uniform_chosen;
  data.penalty_exponent = request.model.penalty_exponent;
  if (request.model.solver.method == Method::exact) data.trace.clear();  // a line of two points
  data.histogram = worst_tensor_histogram(input, run.result.plan, options);
  write_text(*request.report_file, report_html(data));
}

}  // namespace afp::cli
