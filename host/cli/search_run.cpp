// Bodies of search_run.hpp, but for the report.
#include "host/cli/search_run.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>

#include "afp/chain_runner.hpp"
#include "afp/seed_search.hpp"
#include "afp/text_file.hpp"

namespace afp::cli {
namespace {

constexpr std::uint64_t kMostTableBytes = std::uint64_t{4} << 30;

bool begins_with(const std::string& path, std::string_view text) {
  std::ifstream file(path, std::ios::binary);
  std::string begin(text.size(), '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return file && begin == text;
}

// What an earlier run of the same kind left may be replaced: it can be made again.
bool is_cost_table(const std::string& path) {
  return begins_with(path, "{\n\"afp_costs\"");
}
bool is_page(const std::string& path) {
  return begins_with(path, "<!DOCTYPE html>");
}

// A part of the run used this backend.
void note_backend(SearchRun& run, BackendUse use) {
  if (run.backend) use.peak_device_memory = std::max(use.peak_device_memory, run.backend->peak_device_memory);
  run.backend = std::move(use);
}

CostTable costs_of(const Checkpoint& input, const SearchRequest& request, const RunOptions& run,
                   ProgressMode progress, SearchRun& out) {
  if (request.costs_file)
    return parse_cost_table(read_text(*request.costs_file, kMostTableBytes), *request.costs_file);
  CostRequest wanted = request.costs;
  wanted.run = run;
  ProgressDisplay display(progress);
  wanted.run.progress = display.callback();
  CostMeasurement measured = measure_costs(input, wanted);
  out.measure_seconds = measured.total_seconds;
  note_backend(out, std::move(measured.backend));
  if (request.save_costs_file) write_text(*request.save_costs_file, to_json(measured.table));
  return std::move(measured.table);
}

void list_uniform(SearchRun& run) {
  for (const UniformPoint& point : run.result.uniform) {
    const Format format = point.encoding.format;
    run.uniform.push_back({format.bits(), format.exponent_bits, to_string(point.encoding), point.cost,
                           static_cast<double>(hardware_penalty(format.exponent_bits, format.mantissa_bits)),
                           point.score});
  }
  run.uniform_chosen = run.result.uniform_chosen;
}

// The tensors that the original looks at, those of four dimensions, as far as the rules select them; with a
// rule that names tensors to quantize all that are selected.
std::set<std::string> swept_tensors(const Checkpoint& input, const std::vector<Rule>& rules) {
  const bool named = std::any_of(rules.begin(), rules.end(),
                                 [](const Rule& rule) { return rule.action != Rule::Action::keep; });
  const std::vector<TensorInfo> infos(input.tensors().begin(), input.tensors().end());
  const std::vector<Selection> selections = select_tensors(infos, {}, rules);
  std::set<std::string> names;
  for (std::size_t t = 0; t < infos.size(); ++t)
    if (selections[t].request && (named || infos[t].shape.size() == 4)) names.insert(infos[t].name);
  return names;
}

// Where chains of annealing run faster than on threads, if there is such a place: on a device each takes a
// million steps a second, however many they are.
std::unique_ptr<ChainRunner> many_chains(const SearchOptions& solver, const BackendChoice& backend) {
  constexpr std::uint32_t kFew = 256;
  if (solver.method != Method::anneal || solver.chains < kFew) return nullptr;
  return make_chain_runner(backend);
}

// The original's question: one (N, E) by its divergence over the convolutions, and the penalty of the
// hardware.
SearchRun run_original(const Checkpoint& input, const SearchRequest& request, const RunOptions& run,
                       ProgressMode progress) {
  const double exponent = request.model.penalty_exponent;
  SeedSweepOptions options;
  options.run = run;
  const std::set<std::string> swept = swept_tensors(input, request.model.rules);
  options.selects = [&](const TensorInfo& tensor) { return swept.contains(tensor.name); };
  const ChosenBackend backend = make_backend(run.backend, run.threads);
  const SeedSweep sweep = seed_sweep(*backend.backend, input, options);

  // Annealing minimizes what the original's does.
  const bool anneal = request.model.solver.method == Method::anneal;
  SearchProblem problem;
  problem.rows = 1;
  SearchRun out;
  note_backend(out, backend.use());
  for (const SeedSweep::Entry& entry : sweep.entries) {
    const double score = anneal ? seed_annealing_cost(entry) : seed_cost(entry, exponent);
    problem.columns.push_back({entry.candidate.bits, entry.candidate.exponent_bits});
    problem.costs.push_back(score);
    problem.bytes.push_back(0);
    out.uniform.push_back({entry.candidate.bits,
                           entry.candidate.exponent_bits,
                           {},
                           entry.average_kl,
                           static_cast<double>(entry.penalty),
                           score});
  }
  SearchOptions solver = request.model.solver;
  solver.threads = run.threads;
  solver.stop = run.stop;
  solver.original_schedule = true;
  const SearchResult found = afp::search(problem, solver);
  out.uniform_chosen = found.choice.front();

  // Carried out with the engine's Format of that name, whose scale is the best one.
  const SeedCandidate& chosen = sweep.entries[found.choice.front()].candidate;
  SearchRequest one = request;
  one.costs.space.bits = {chosen.bits};
  one.costs.space.exponent_bits = {std::max(chosen.exponent_bits, 1)};
  one.costs.space.blocks = {{BlockKind::tensor, 0}};
  out.table = costs_of(input, one, run, progress, out);
  ModelSearchOptions model = request.model;
  model.solver = {};
  model.penalty_exponent = 0.0;
  out.result = search_model(input, out.table, model);
  out.result.search = found;
  for (double l = 0.0; l < 10.5; l += 1.0) {
    const SeedChoice best = best_seed_choice(sweep, l / 10.0);
    out.original_choices.push_back({l / 10.0, best.candidate.bits, best.candidate.exponent_bits, best.cost});
  }
  out.swept_tensors = sweep.tensors.size();
  return out;
}

}  // namespace

void check_search_files(const Checkpoint& input, const SearchRequest& request, const std::string& plan,
                        bool force) {
  std::vector<std::filesystem::path> taken;
  const auto real = [](const std::filesystem::path& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path));
  };
  for (const CheckpointShard& shard : input.shards()) taken.push_back(real(input.folder() / shard.file_name));
  for (const std::string& name : input.other_files()) taken.push_back(real(input.folder() / name));
  for (const auto* file : {&request.costs_file, &request.importance_file})
    if (*file) taken.push_back(real(**file));
  const auto check = [&](const std::string& path, bool may_exist) {
    if (std::find(taken.begin(), taken.end(), real(path)) != taken.end())
      throw UsageError(path + " is a file that is read, or written to already; give another name");
    require_writable(path, may_exist || force);
    taken.push_back(real(path));
  };
  if (!plan.empty()) check(plan, false);
  if (request.save_costs_file) check(*request.save_costs_file, is_cost_table(*request.save_costs_file));
  if (request.report_file) check(*request.report_file, is_page(*request.report_file));
}

SearchRun run_search(const Checkpoint& input, const SearchRequest& request, const RunOptions& run,
                     ProgressMode progress) {
  if (request.original) return run_original(input, request, run, progress);
  SearchRun out;
  out.table = costs_of(input, request, run, progress, out);
  ModelSearchOptions model = request.model;
  model.solver.threads = run.threads;
  model.solver.stop = run.stop;
  const std::unique_ptr<ChainRunner> device = many_chains(model.solver, run.backend);
  model.solver.runner = device.get();
  out.result = search_model(input, out.table, model);
  list_uniform(out);
  return out;
}

}  // namespace afp::cli
