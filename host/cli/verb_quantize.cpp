// afp quantize: the whole line from a checkpoint to a packed one.
#include <cstdio>

#include "afp/checkpoint.hpp"
#include "afp/quantize.hpp"
#include "host/cli/options_quantize.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/quantize_report.hpp"
#include "host/cli/terminal.hpp"
#include "host/cli/verbs.hpp"

namespace afp::cli {

Outcome quantize(const Arguments& arguments, const std::atomic<bool>& stop) {
  QuantizeArguments parsed = parse_quantize(arguments);
  const std::optional<std::size_t> width = terminal_width(stdout);
  const Checkpoint input = Checkpoint::open(parsed.input);
  parsed.options.run.stop = &stop;

  std::optional<std::uint64_t> peak_memory;
  if (parsed.options.dry_run) peak_memory = plan_quantization(input, parsed.options).peak_memory;

  ProgressDisplay display(parsed.progress);
  parsed.options.run.progress = display.callback();
  const QuantizeResult result = quantize_checkpoint(input, parsed.output, parsed.options);
  const QuantizeReport report{result, peak_memory};
  if (parsed.json) return {.out = quantize_json(report)};
  return {.out = parsed.quiet ? "" : quantize_text(report, parsed.verbose || parsed.options.dry_run, width)};
}

}  // namespace afp::cli
