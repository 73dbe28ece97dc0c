// Bodies of options_dequantize.hpp.
#include "host/cli/options_dequantize.hpp"

#include <optional>

#include "host/cli/command_line.hpp"
#include "host/cli/run_arguments.hpp"

namespace afp::cli {
namespace {

DType parse_weight_dtype(const CommandLine& command, const std::string& text) {
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32})
    if (text == dtype_name(dtype)) return dtype;
  throw command.error("--dtype: expected BF16, F16 or F32, found '" + text + "'");
}

}  // namespace

DequantizeArguments parse_dequantize(const Arguments& arguments) {
  DequantizeArguments parsed;
  RunArguments run;
  std::optional<std::string> output, dtype;

  CommandLine command(
      "dequantize", "PACKED -o OUTPUT [options]",
      "Writes a plain checkpoint with the values of a packed one, for any framework to load.");
  command.group("What");
  command.positional("PACKED", parsed.input, "a folder that afp quantize wrote");
  command.value("-o,--output", "OUTPUT", output, "folder to write: new, empty, or an interrupted run");
  command.value("--dtype", "DTYPE", dtype, "of the weights: BF16, F16 or F32 (default: as it was)");

  command.group("How fast");
  run.declare_resources(command);

  command.group("Output");
  command.flag("--force", parsed.options.force, "empty OUTPUT first, whatever it holds");
  run.declare_reporting(command, "which backend ran, and why");

  command.example("afp dequantize model-4bit -o model-restored");
  command.example("afp dequantize model-4bit -o model-f32 --dtype F32");
  command.parse(arguments);

  run.check(command);
  if (!output || output->empty()) throw command.error("-o OUTPUT is missing");
  parsed.output = *output;
  if (dtype) parsed.options.dtype = parse_weight_dtype(command, *dtype);
  parsed.options.run = run.options;
  parsed.json = run.json;
  parsed.quiet = run.quiet;
  parsed.verbose = run.verbose;
  parsed.progress = run.progress_mode;
  return parsed;
}

}  // namespace afp::cli
