// afp verify: is everything in a packed checkpoint as it was written?
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "afp/packed_checkpoint.hpp"
#include "afp/quantize.hpp"
#include "host/cli/options_verify.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/table.hpp"
#include "host/cli/terminal.hpp"
#include "host/cli/text.hpp"
#include "host/cli/verbs.hpp"

namespace afp::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string verify_text(const VerifyResult& result, bool verbose) {
  std::string out;
  for (const VerifyProblem& problem : result.problems)
    out += printable((problem.name.empty() ? "" : problem.name + ": ") + problem.what) + "\n";
  if (verbose && !result.errors.empty()) {
    Table table({{"tensor"}, {"encoding"}, {"SQNR", Table::Align::right}});
    for (const TensorResult& tensor : result.errors)
      table.add({tensor.source.name, tensor.encoding ? to_string(*tensor.encoding) : "",
                 decibel_text(tensor.sqnr_db())});
    out += table.text(0, terminal_width(stdout)) + "\n";
  }
  if (result.problems.empty()) {
    out += fmt::format("OK: {} checked in {:.2f} s", plural(result.tensors, "tensor"), result.total_seconds);
    if (result.sqnr_db) out += fmt::format(", measured SQNR {}", decibel_text(*result.sqnr_db));
    out += "\n";
  }
  if (verbose) out += "backend: " + backend_text(result.backend, true) + "\n";
  return out;
}

std::string verify_json(const VerifyResult& result) {
  Json problems = Json::array();
  for (const VerifyProblem& problem : result.problems)
    problems.push_back({{"name", problem.name}, {"what", problem.what}});
  Json json = {
      {"ok", result.problems.empty()}, {"tensors", result.tensors}, {"problems", std::move(problems)}};
  if (result.sqnr_db) json["sqnr_db"] = json_number(*result.sqnr_db);
  add_backend(json, result.backend);
  return json_line(json);
}

}  // namespace

Outcome verify(const Arguments& arguments, const std::atomic<bool>& stop) {
  VerifyArguments parsed = parse_verify(arguments);
  check_backend(parsed.run.backend);
  const PackedCheckpoint packed = PackedCheckpoint::open(parsed.packed);
  std::optional<Checkpoint> source;
  if (parsed.against) source = Checkpoint::open(*parsed.against);
  ProgressDisplay display(parsed.progress);
  parsed.run.stop = &stop;
  parsed.run.progress = display.callback();
  const VerifyResult result = verify_checkpoint(packed, source ? &*source : nullptr, parsed.run);

  Outcome outcome;
  if (parsed.json)
    outcome.out = verify_json(result);
  else if (!parsed.quiet)
    outcome.out = verify_text(result, parsed.verbose);
  if (!result.problems.empty()) {
    outcome.exit_code = kExitBadInput;
    outcome.complaint = parsed.packed + ": " + plural(result.problems.size(), "problem") + " found";
  }
  return outcome;
}

}  // namespace afp::cli
