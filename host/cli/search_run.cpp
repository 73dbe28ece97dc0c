// Bodies of search_run.hpp, but for the report.
#include "host/cli/search_run.hpp"

#include <cmath>

#include "afp/text_file.hpp"

namespace afp::cli {
namespace {

constexpr std::uint64_t kMostTableBytes = std::uint64_t{4} << 30;

CostTable costs_of(const Checkpoint& input, const SearchRequest& request, const RunOptions& run,
                   ProgressMode progress, std::optional<double>& seconds) {
  if (request.costs_file)
    return parse_cost_table(read_text(*request.costs_file, kMostTableBytes), *request.costs_file);
  CostRequest wanted = request.costs;
  wanted.run = run;
  ProgressDisplay display(progress);
  wanted.run.progress = display.callback();
  CostMeasurement measured = measure_costs(input, wanted);
  seconds = measured.total_seconds;
  if (request.save_costs_file) write_text(*request.save_costs_file, to_json(measured.table));
  return std::move(measured.table);
}

void list_uniform(const Checkpoint& input, const SearchRequest& request, SearchRun& run) {
  const ModelFront front = model_front(input, run.table, request.model, 2);
  for (const UniformPoint& point : front.uniform) {
    const Format format = point.encoding.format;
    const double penalty = hardware_penalty(format.exponent_bits, format.mantissa_bits);
    run.uniform.push_back({format.bits(), format.exponent_bits, point.cost, penalty,
                           point.cost * std::pow(penalty, request.model.penalty_exponent)});
    for (const PlanEntry& entry : run.result.plan.tensors)
      if (entry.encoding == point.encoding) run.uniform_chosen = run.uniform.size() - 1;
  }
}

}  // namespace

void check_search_files(const SearchRequest& request, bool force) {
  if (request.save_costs_file) require_writable(*request.save_costs_file, force);
  if (request.report_file) require_writable(*request.report_file, true);
}

SearchRun run_search(const Checkpoint& input, const SearchRequest& request, const RunOptions& run,
                     ProgressMode progress) {
  SearchRun out;
  out.table = costs_of(input, request, run, progress, out.measure_seconds);
  ModelSearchOptions model = request.model;
  model.solver.threads = run.threads;
  model.solver.stop = run.stop;
  out.result = search_model(input, out.table, model);
  if (model.uniform) list_uniform(input, request, out);
  return out;
}

void write_report(const Checkpoint&, const SearchRequest&, const SearchRun&, const std::string&) {}

}  // namespace afp::cli
