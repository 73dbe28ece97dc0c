// The report of a search, put together from what ran and written.
#include <fmt/format.h>

#include "afp/text_file.hpp"
#include "afp_build.hpp"
#include "host/cli/report/histogram.hpp"
#include "host/cli/report/report.hpp"
#include "host/cli/search_run.hpp"

namespace afp::cli {
namespace {

std::string model_name(const Checkpoint& input) {
  const std::filesystem::path path = std::filesystem::weakly_canonical(input.path());
  return (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
}

}  // namespace

void write_report(const Checkpoint& input, const SearchRequest& request, const SearchRun& run,
                  const std::string& command) {
  if (!request.report_file) return;
  ModelSearchOptions mixed = request.model;
  mixed.uniform = false;  // what mixing would buy stands beside it
  mixed.space.reset();
  const ModelFront front = model_front(input, run.table, mixed);
  ReportData data =
      report_data(run.result, front, run.table, {input.tensors().begin(), input.tensors().end()});
  data.model = model_name(input);
  data.command = command;
  data.program = fmt::format("afp {} ({})", kVersion, kCommit);
  data.method = to_string(request.model.solver.method);
  data.budget = request.budget_text;
  data.candidates = request.candidates_text;
  for (const CheckpointShard& shard : input.shards()) data.source_bytes += shard.file_bytes;
  if (run.result.minimizes_size) data.gap.reset();  // it is one of bytes
  for (const UniformChoice& choice : run.uniform)
    data.uniform.push_back({choice.bits, choice.exponent_bits, choice.cost, choice.penalty, choice.score});
  data.uniform_chosen = run.uniform_chosen;
  data.penalty_exponent = request.model.penalty_exponent;
  if (request.model.solver.method == Method::exact) data.trace.clear();  // a line of two points
  data.histogram = worst_tensor_histogram(input, run.result.plan);
  write_text(*request.report_file, report_html(data));
}

}  // namespace afp::cli
