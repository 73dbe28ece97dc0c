// Bodies of options_inspect.hpp.
#include "host/cli/options_inspect.hpp"

#include "host/cli/command_line.hpp"

namespace afp::cli {

InspectArguments parse_inspect(const Arguments& arguments) {
  InspectArguments parsed;
  CommandLine command(
      "inspect", "PATH [options]",
      "Lists the tensors of a checkpoint, plain or packed. Reads headers only, not the weights.");
  command.group("What");
  command.positional("PATH", parsed.path, "a .safetensors file or a folder that holds a model");
  command.flag("--stats", parsed.stats,
               "read the weights too: largest magnitude, zeros, and values that are NaN or infinite");
  command.group("Output");
  command.flag("--json", parsed.json, "the result as JSON on stdout");
  command.example("afp inspect model");
  command.example("afp inspect model-4bit --stats");
  command.parse(arguments);
  return parsed;
}

}  // namespace afp::cli
