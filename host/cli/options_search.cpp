// Bodies of options_search.hpp.
#include "host/cli/options_search.hpp"

#include "host/cli/command_line.hpp"
#include "host/cli/run_arguments.hpp"

namespace afp::cli {

SearchCommand parse_search(const Arguments& arguments) {
  SearchCommand parsed;
  EncodingArguments encoding;
  SearchArguments search;
  RunArguments run;
  std::optional<std::string> output;

  CommandLine command("search", "INPUT -o PLAN.json [options]",
                      "Chooses an Encoding for every weight matrix; afp quantize carries the plan out.");
  command.group("What (--keep, --only, --set and --rules may be repeated: the last match wins)");
  command.positional("INPUT", parsed.input, "a .safetensors file or a folder that holds a model");
  command.value("-o,--output", "PLAN", output, "file to write; without it the choice is only shown");
  encoding.declare_rules(command);

  command.group("How good");
  encoding.declare_sizes(command, false);
  search.declare_budget(command, SearchArguments::Explained::yes);

  command.group("The search");
  search.declare_search(command, SearchArguments::Explained::yes);

  command.group("How fast");
  run.declare_resources(command);

  command.group("Output");
  search.declare_files(command, SearchArguments::Explained::yes);
  command.flag("--force", parsed.force, "replace PLAN and the --save-costs file if they exist");
  run.declare_reporting(command, "list every tensor, and every candidate of --uniform");

  command.example("afp search model -o plan.json --target-bpw 4.25");
  command.example("afp search model --target-sqnr 25 --report report.html");
  command.parse(arguments);

  run.check(command);
  parsed.request = search.check(command, encoding);
  if (output && output->empty()) throw command.error("-o needs the name of a file");
  parsed.output = output.value_or("");
  parsed.run = run.options;
  parsed.json = run.json;
  parsed.quiet = run.quiet;
  parsed.verbose = run.verbose;
  parsed.progress = run.progress_mode;
  return parsed;
}

}  // namespace afp::cli
