// Bodies of options_inspect.hpp.
#include "host/cli/options_inspect.hpp"

#include "host/cli/command_line.hpp"
#include "host/cli/run_arguments.hpp"

namespace afp::cli {

InspectArguments parse_inspect(const Arguments& arguments) {
  InspectArguments parsed;
  BackendArguments backend;
  CommandLine command(
      "inspect", "PATH [options]",
      "Lists the tensors of a checkpoint, plain or packed. Reads headers only, not the weights.");
  command.group("What");
  command.positional("PATH", parsed.path, "a .safetensors file or a folder that holds a model");
  command.flag("--stats", parsed.stats,
               "read the weights too: largest magnitude, zeros, and values that are NaN or infinite");
  command.group("How fast (with --stats)");
  backend.declare(command);
  command.group("Output");
  command.flag("--json", parsed.json, "the result as JSON on stdout");
  command.example("afp inspect model");
  command.example("afp inspect model-4bit --stats");
  command.parse(arguments);

  parsed.backend = backend.choice(command);
  if (!parsed.stats && (backend.backend || backend.device))
    throw command.error(std::string(backend.backend ? "--backend" : "--device") +
                        " goes with --stats; without it no weights are read");
  return parsed;
}

}  // namespace afp::cli
