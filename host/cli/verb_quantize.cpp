// afp quantize: the whole line from a checkpoint to a packed one.
#include <cstdio>

#include "afp/checkpoint.hpp"
#include "afp/quantize.hpp"
#include "afp/text_file.hpp"
#include "host/cli/options_quantize.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/quantize_report.hpp"
#include "host/cli/search_report.hpp"
#include "host/cli/search_run.hpp"
#include "host/cli/terminal.hpp"
#include "host/cli/text.hpp"
#include "host/cli/verbs.hpp"

namespace afp::cli {
namespace {

constexpr std::uint64_t kMostPlanBytes = std::uint64_t{1} << 30;

Effort effort_of(const Plan& plan) {
  return plan.effort == "fast" ? Effort::fast : Effort::exact;
}

// The plan that the arguments name, or lead to by a search; `run` is what that found.
std::optional<Plan> plan_of(const Checkpoint& input, const QuantizeArguments& parsed,
                            std::optional<SearchRun>& run) {
  if (parsed.plan) {
    Plan plan = parse_plan(read_text(*parsed.plan, kMostPlanBytes), *parsed.plan);
    check_plan(plan, input, *parsed.plan);
    return plan;
  }
  if (!parsed.search) return std::nullopt;
  check_search_files(input, *parsed.search, {}, parsed.options.force);
  run = run_search(input, *parsed.search, parsed.options.run, parsed.progress);
  return run->result.plan;
}

}  // namespace

Outcome quantize(const Arguments& arguments, const std::atomic<bool>& stop) {
  QuantizeArguments parsed = parse_quantize(arguments);
  const std::optional<std::size_t> width = terminal_width(stdout);
  check_backend(parsed.options.run.backend);
  const Checkpoint input = Checkpoint::open(parsed.input);
  parsed.options.run.stop = &stop;

  // A search takes time: what makes it useless is to be found before.
  if (parsed.search && !parsed.options.dry_run)
    require_free_output(parsed.output, input, parsed.options.force);
  std::optional<SearchRun> run;
  parsed.options.plan = plan_of(input, parsed, run);
  if (parsed.options.plan && !parsed.effort_given) parsed.options.effort = effort_of(*parsed.options.plan);
  if (run) {
    std::vector<std::string> words = {"afp", "quantize"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    write_report(input, *parsed.search, *run, parsed.options.run, shell_command(words));
  }

  std::optional<std::uint64_t> peak_memory;
  if (parsed.options.dry_run) peak_memory = plan_quantization(input, parsed.options).peak_memory;

  ProgressDisplay display(parsed.progress);
  parsed.options.run.progress = display.callback();
  const QuantizeResult result = quantize_checkpoint(input, parsed.output, parsed.options);
  const QuantizeReport report{result, peak_memory, parsed.verbose};
  if (parsed.json) return {.out = quantize_json(report)};
  if (parsed.quiet) return {};
  std::string out;
  if (run) out += search_text(input, *parsed.search, *run, false, width) + "\n";
  return {.out = out + quantize_text(report, width)};
}

}  // namespace afp::cli
