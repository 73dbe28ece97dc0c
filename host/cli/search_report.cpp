// Bodies of search_report.hpp.
#include "host/cli/search_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/cli/outcome.hpp"
#include "host/cli/size_text.hpp"
#include "host/cli/table.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Align = Table::Align;

double percent(double part, double whole) {
  return whole == 0.0 ? 0.0 : 100.0 * part / whole;
}

double entry_bpw(const PlanEntry& entry) {
  const std::uint64_t weights = element_count(*entry.shape);
  return weights == 0 ? 0.0 : 8.0 * static_cast<double>(entry.bytes) / static_cast<double>(weights);
}

// A selected tensor: the search decided about it.
bool is_selected(const PlanEntry& entry) {
  return entry.cost.has_value();
}

// Tensors, weights, bytes and error by Encoding, in order of first appearance.
Table encodings_table(const ModelSearchResult& result) {
  struct Group {
    std::string text;
    std::size_t tensors = 0;
    std::uint64_t weights = 0, bytes = 0;
    double error = 0.0;
  };
  std::vector<Group> groups;
  for (const PlanEntry& entry : result.plan.tensors) {
    if (!is_selected(entry)) continue;
    const std::string text = entry.encoding ? to_string(*entry.encoding) : "kept";
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.text == text; });
    if (group == groups.end()) group = groups.insert(groups.end(), Group{text});
    ++group->tensors;
    group->weights += element_count(*entry.shape);
    group->bytes += entry.bytes;
    group->error += entry.squared_error.value_or(0.0);
  }
  const auto bpw = [](const Group& group) {
    return 8.0 * static_cast<double>(group.bytes) / static_cast<double>(group.weights);
  };
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const Group& a, const Group& b) { return bpw(a) < bpw(b); });
  Table table({{"encoding"},
               {"tensors", Align::right},
               {"weights", Align::right},
               {"bpw", Align::right},
               {"of the size", Align::right},
               {"of the error", Align::right}});
  for (const Group& group : groups)
    table.add({group.text, with_thousands(group.tensors), with_thousands(group.weights),
               fmt::format("{:.2f}", bpw(group)),
               fmt::format("{:.1f} %", percent(static_cast<double>(group.bytes),
                                               static_cast<double>(result.selected_bytes))),
               fmt::format("{:.1f} %", percent(group.error, result.squared_error))});
  return table;
}

Table tensors_table(const ModelSearchResult& result, bool kl) {
  std::vector<Table::Column> columns = {
      {"tensor"}, {"encoding"}, {"bpw", Align::right}, {"of the error", Align::right}};
  if (kl) columns.push_back({"cost", Align::right});
  Table table(columns);
  for (const PlanEntry& entry : result.plan.tensors) {
    std::vector<std::string> cells = {entry.name,
                                      entry.encoding ? to_string(*entry.encoding) : "kept: " + entry.kept};
    cells.push_back(is_selected(entry) ? fmt::format("{:.2f}", entry_bpw(entry)) : "");
    cells.push_back(is_selected(entry)
                        ? fmt::format("{:.1f} %", percent(*entry.squared_error, result.squared_error))
                        : "");
    if (kl) cells.push_back(is_selected(entry) ? fmt::format("{:.4g}", *entry.cost) : "");
    table.add(cells);
  }
  return table;
}

Table uniform_table(const SearchRun& run, bool all) {
  constexpr std::size_t kBest = 8;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < run.uniform.size(); ++i) order.push_back(i);
  if (!all) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return run.uniform[a].score < run.uniform[b].score;
    });
    order.resize(std::min(order.size(), kBest));
  }
  Table table({{"N", Align::right},
               {"E", Align::right},
               {"encoding"},
               {"cost", Align::right},
               {"penalty", Align::right},
               {"compared", Align::right},
               {""}});
  for (const std::size_t i : order) {
    const UniformChoice& choice = run.uniform[i];
    table.add({std::to_string(choice.bits), std::to_string(choice.exponent_bits), choice.encoding,
               fmt::format("{:.5g}", choice.cost), fmt::format("{:.0f}", choice.penalty),
               fmt::format("{:.5g}", choice.score), i == run.uniform_chosen ? "<- chosen" : ""});
  }
  return table;
}

std::string original_text(const SearchRun& run, double exponent) {
  Table table({{"L", Align::right},
               {"N", Align::right},
               {"E", Align::right},
               {"penalty^L 10 KL", Align::right},
               {""}});
  for (const SearchRun::OriginalChoice& choice : run.original_choices)
    table.add({fmt::format("{:.1f}", choice.penalty_exponent), std::to_string(choice.bits),
               std::to_string(choice.exponent_bits), fmt::format("{:.5g}", choice.cost),
               std::abs(choice.penalty_exponent - exponent) < 1e-9 ? "<- L" : ""});
  return fmt::format("  Mean divergence (KL) of {}; the choice under each penalty exponent L:\n\n",
                     plural(run.swept_tensors, "tensor")) +
         table.text(2) + "\n";
}

std::string gap_text(const ModelSearchResult& result) {
  const double gap = result.search.gap;
  const char* what = result.minimizes_size ? "smallest" : "least";
  if (gap == 0.0) return fmt::format("proven the {}", what);
  return std::isfinite(gap) ? fmt::format("at most {:.3g} % above the {}", 100.0 * gap, what)
                            : "nothing proven";
}

}  // namespace

std::string search_text(const Checkpoint& input, const SearchRequest& request, const SearchRun& run, bool all,
                        std::optional<std::size_t> width) {
  const ModelSearchResult& result = run.result;
  const auto selected = static_cast<std::size_t>(
      std::count_if(result.plan.tensors.begin(), result.plan.tensors.end(), is_selected));
  std::uint64_t source_bytes = 0;
  for (const CheckpointShard& shard : input.shards()) source_bytes += shard.file_bytes;

  std::string out =
      selected == 0
          ? fmt::format("No tensor is selected: all {} are kept\n\n",
                        with_thousands(result.plan.tensors.size()))
          : fmt::format("Chose among {} for {} of {}\n\n",
                        plural(request.original ? run.uniform.size() : result.candidates, "candidate"),
                        with_thousands(selected), plural(result.plan.tensors.size(), "tensor"));
  out += fmt::format(
      "  size        {} -> {} in weight files, {:.2f} times smaller\n", size_text(source_bytes),
      size_text(result.file_bytes),
      static_cast<double>(source_bytes) / static_cast<double>(std::max<std::uint64_t>(result.file_bytes, 1)));
  if (selected > 0) {
    out += fmt::format("  bpw         {:.4f} bits a quantized weight, scales included{}\n", result.bpw(),
                       request.model.target_bpw ? fmt::format("; budget {}", *request.model.target_bpw) : "");
    out += fmt::format(
        "  SQNR        {}{}\n", decibel_text(result.sqnr_db()),
        run.table.sample > 1 ? fmt::format(", estimated from one block in {}", run.table.sample) : "");
    if (run.table.objective != Objective::mse || run.table.weighted)
      out += fmt::format("  cost        {:.6g} ({}{})\n", result.search.cost, to_string(run.table.objective),
                         run.table.weighted                   ? ", weighted by importance"
                         : request.model.penalty_exponent > 0 ? ", times the penalty"
                                                              : "");
    out +=
        fmt::format("  search      {}, {}, {} in {:.3f} s\n", to_string(request.model.solver.method),
                    gap_text(result), plural(result.search.evaluations, "evaluation"), result.search.seconds);
  }
  if (run.measure_seconds)
    out += fmt::format("  measured    {} x {} in {:.2f} s\n", plural(result.weights, "weight"),
                       plural(run.table.candidates.size(), "candidate"), *run.measure_seconds);
  if (run.backend) out += fmt::format("  backend     {}\n", backend_text(*run.backend, all));
  out += "\n";
  if (!run.original_choices.empty()) out += original_text(run, request.model.penalty_exponent);
  if (!run.uniform.empty()) out += uniform_table(run, all).text(2, width) + "\n";
  if (all)
    out += tensors_table(result, run.table.objective != Objective::mse).text(2, width);
  else if (selected > 0)
    out += encodings_table(result).text(2, width);
  return out;
}

std::string search_json(const SearchRequest& request, const SearchRun& run) {
  const ModelSearchResult& result = run.result;
  Json tensors = Json::array();
  for (const PlanEntry& entry : result.plan.tensors) {
    if (entry.encoding)
      tensors.push_back({{"name", entry.name},
                         {"encoding", to_string(*entry.encoding)},
                         {"cost", json_number(*entry.cost)},
                         {"bpw", json_number(entry_bpw(entry))}});
    else
      tensors.push_back({{"name", entry.name}, {"kept", entry.kept}});
  }
  Json json = {{"objective", to_string(run.table.objective)},
               {"method", to_string(request.model.solver.method)},
               {"seed", request.model.solver.seed},
               {"budget", result.budget == 0 ? Json(nullptr) : Json(result.budget)},
               {"cost", json_number(result.search.cost)},
               {"bound", json_number(result.search.bound)},
               {"gap", json_number(result.search.gap)},
               {"evaluations", result.search.evaluations},
               {"seconds", result.search.seconds}};
  if (run.uniform_chosen)
    json["uniform"] = {{"bits", run.uniform[*run.uniform_chosen].bits},
                       {"exponent_bits", run.uniform[*run.uniform_chosen].exponent_bits}};
  if (!run.uniform.empty()) {
    Json candidates = Json::array();
    for (const UniformChoice& choice : run.uniform)
      candidates.push_back({{"bits", choice.bits},
                            {"exponent_bits", choice.exponent_bits},
                            {"encoding", choice.encoding.empty() ? Json(nullptr) : Json(choice.encoding)},
                            {"cost", json_number(choice.cost)},
                            {"penalty", choice.penalty}});
    json["candidates"] = std::move(candidates);
  }
  json["tensors"] = std::move(tensors);
  json["total"] = {{"weights", result.weights},           {"bytes", result.selected_bytes},
                   {"packed_bytes", result.packed_bytes}, {"file_bytes", result.file_bytes},
                   {"bpw", json_number(result.bpw())},    {"sqnr_db", json_number(result.sqnr_db())}};
  json["minimizes"] = result.minimizes_size ? "bytes" : "cost";
  json["sample"] = run.table.sample;
  json["measure_seconds"] = run.measure_seconds ? Json(*run.measure_seconds) : Json(nullptr);
  add_backend(json, run.backend.value_or(BackendUse()));
  return json_line(json);
}

}  // namespace afp::cli
