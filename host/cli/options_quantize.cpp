// Bodies of options_quantize.hpp: which options there are, and how they combine into one request.
#include "host/cli/options_quantize.hpp"

#include "host/cli/command_line.hpp"
#include "host/cli/run_arguments.hpp"

namespace afp::cli {

QuantizeArguments parse_quantize(const Arguments& arguments) {
  QuantizeArguments parsed;
  EncodingArguments encoding;
  SearchArguments search;
  RunArguments run;
  std::optional<std::string> output;

  CommandLine command("quantize", "INPUT -o OUTPUT [options]",
                      "Packs weight matrices into a few bits each. Embeddings, the output head and 1-D "
                      "tensors are kept as they are unless a rule says otherwise.");
  command.group("What (--keep, --only, --set and --rules may be repeated: the last match wins)");
  command.positional("INPUT", parsed.input, "a .safetensors file or a folder that holds a model");
  command.value("-o,--output", "OUTPUT", output, "folder to write: new, empty, or an interrupted run");
  encoding.declare_rules(command);

  command.group("How good");
  encoding.declare_sizes(command, true);
  command.value("--plan", "PLAN", parsed.plan, "what afp search wrote; decides about all tensors");

  command.group("Mixing Encodings within a budget (explained by afp search --help)");
  search.declare_briefly(command);

  command.group("How fast");
  run.declare_resources(command);

  command.group("Output");
  command.flag("--dry-run", parsed.options.dry_run, "compute everything, write nothing; -o is not needed");
  command.flag("--force", parsed.options.force, "empty OUTPUT first, whatever it holds");
  run.declare_reporting(command, "list every tensor, not just the worst");

  command.example("afp quantize model -o model-4bit");
  command.example("afp quantize model -o model-small --target-bpw 4.25 --keep 'lm_head|router'");
  command.parse(arguments);

  run.check(command);
  if (parsed.plan) {
    if (search.any() || !encoding.rules.empty() || encoding.bits || encoding.format || encoding.block ||
        encoding.scale)
      throw command.error(
          "--plan decides about every tensor; options that choose tensors or Encodings contradict it");
  } else if (search.any()) {
    if (parsed.options.dry_run && (search.report || search.save_costs))
      throw command.error(std::string("--dry-run writes nothing; ") +
                          (search.report ? "--report" : "--save-costs") + " contradicts it");
    parsed.search = search.check(command, encoding);
  } else {
    parsed.options.request = encoding.request(command);
    parsed.options.rules = encoding.rules;
  }
  parsed.options.effort = encoding.parsed_effort(command);
  parsed.effort_given = encoding.effort.has_value();
  if (output ? output->empty() : !parsed.options.dry_run) throw command.error("-o OUTPUT is missing");
  parsed.output = output.value_or("");
  parsed.options.run = run.options;
  parsed.json = run.json;
  parsed.quiet = run.quiet;
  parsed.verbose = run.verbose;
  parsed.progress = run.progress_mode;
  return parsed;
}

}  // namespace afp::cli
