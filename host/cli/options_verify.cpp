// Bodies of options_verify.hpp.
#include "host/cli/options_verify.hpp"

#include "host/cli/command_line.hpp"
#include "host/cli/run_arguments.hpp"

namespace afp::cli {

VerifyArguments parse_verify(const Arguments& arguments) {
  VerifyArguments parsed;
  RunArguments run;

  CommandLine command("verify", "PACKED [--against INPUT] [options]",
                      "Checks everything in a packed checkpoint against its digests. "
                      "Exits with 0 when all is well, with 3 when not.");
  command.group("What");
  command.positional("PACKED", parsed.packed, "a folder that afp quantize wrote");
  command.value(
      "--against", "INPUT", parsed.against,
      "the checkpoint it was made from: also measures the error of every tensor and compares it with what "
      "was recorded");

  command.group("How fast");
  run.declare_resources(command);

  command.group("Output");
  run.declare_reporting(command, "which backend ran; with --against, the error of every tensor");

  command.example("afp verify model-4bit");
  command.example("afp verify model-4bit --against model");
  command.parse(arguments);

  run.check(command);
  parsed.run = run.options;
  parsed.json = run.json;
  parsed.quiet = run.quiet;
  parsed.verbose = run.verbose;
  parsed.progress = run.progress_mode;
  return parsed;
}

}  // namespace afp::cli
