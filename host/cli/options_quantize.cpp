// Bodies of options_quantize.hpp: which options there are, and how they combine into one request.
#include "host/cli/options_quantize.hpp"

#include <charconv>
#include <fstream>
#include <optional>

#include "host/cli/command_line.hpp"
#include "host/cli/run_arguments.hpp"

namespace afp::cli {
namespace {

// The options that say what a selected tensor becomes, as typed.
struct EncodingArguments {
  std::optional<std::string> bits, format, block, scale, effort;
};

int parse_bits(const CommandLine& command, const std::string& text) {
  int bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc{} || end != text.data() + text.size() || bits < kMinBits || bits > kMaxBits)
    throw command.error("--bits: expected a number from 2 to 8, found '" + text + "'");
  return bits;
}

// Calls the library's parser; its error gets the option's name in front.
template <class Parser>
auto parse_option(const CommandLine& command, const char* option, const std::string& text, Parser parser) {
  try {
    return parser(text);
  } catch (const UsageError& wrong) {
    throw command.error(std::string(option) + ": " + wrong.what());
  }
}

EncodingRequest request_from(const CommandLine& command, const EncodingArguments& arguments) {
  const bool whole = arguments.format && arguments.format->find('/') != std::string::npos;
  if (whole && (arguments.block || arguments.scale))
    throw command.error("--format " + *arguments.format + " is a whole Encoding, it contradicts " +
                        (arguments.block ? "--block" : "--scale"));

  EncodingRequest request;
  if (arguments.block) request.block = parse_option(command, "--block", *arguments.block, parse_block);
  request.scale = arguments.scale ? parse_option(command, "--scale", *arguments.scale, parse_scale)
                                  : default_scale(request.block);
  if (arguments.bits) request.bits = parse_bits(command, *arguments.bits);
  if (!arguments.format) return request;

  const auto parse_whole = [&](const std::string& text) {
    if (whole) return parse_encoding(text);
    parse_format(text.substr(0, text.find('+')));  // so that what is wrong is said about FORMAT alone
    return parse_encoding(text + "/" + to_string(request.block) + "/" +
                          std::string(to_string(request.scale)));
  };
  request.encoding = parse_option(command, "--format", *arguments.format, parse_whole);
  if (arguments.bits && request.bits != request.encoding->bits())
    throw command.error("--bits " + *arguments.bits + " contradicts --format " + *arguments.format +
                        ", which has " + std::to_string(request.encoding->bits()) + " bits");
  request.bits = request.encoding->bits();
  return request;
}

Effort parse_effort(const CommandLine& command, const std::optional<std::string>& text) {
  if (!text || *text == "exact") return Effort::exact;
  if (*text == "fast") return Effort::fast;
  throw command.error("--effort: expected exact or fast, found '" + *text + "'");
}

std::string read_rules_file(const std::string& path) {
  constexpr std::size_t kMost = 1 << 20;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMost + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) throw InputError("cannot be read as a file of rules", path);
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMost) throw InputError("has more than 1 MiB, too much for a file of rules", path);
  return text;
}

}  // namespace

QuantizeArguments parse_quantize(const Arguments& arguments) {
  QuantizeArguments parsed;
  EncodingArguments encoding;
  RunArguments run;
  std::optional<std::string> output;
  std::vector<Rule>& rules = parsed.options.rules;

  CommandLine command(
      "quantize", "INPUT -o OUTPUT [options]",
      "Packs the weight matrices of a checkpoint into a few bits each. Embeddings, the output head and "
      "1-D tensors are kept as they are unless a rule says otherwise.");
  const auto add_rule = [&](const char* verb) {
    return [&rules, &command, verb](const std::string& text) {
      rules.push_back(parse_option(command, (std::string("--") + verb).c_str(),
                                   std::string(verb) + " " + text,
                                   [](const std::string& rule) { return Rule::parse(rule); }));
    };
  };
  const auto add_rules_file = [&](const std::string& path) {
    for (Rule& rule : parse_rules(read_rules_file(path), path)) rules.push_back(std::move(rule));
  };

  command.group("What (--keep, --only, --set and --rules may be repeated: the last match wins)");
  command.positional("INPUT", parsed.input, "a .safetensors file or a folder that holds a model");
  command.value("-o,--output", "OUTPUT", output, "folder to write: new, empty, or an interrupted run");
  command.repeated("--keep", "REGEX", add_rule("keep"), "leave tensors whose name has a match as they are");
  command.repeated("--only", "REGEX", add_rule("only"), "quantize those with a match, leave all others");
  command.repeated("--set", "REGEX=ENCODING", add_rule("set"), "give those an Encoding, as 'mlp=E3M2/row'");
  command.repeated("--rules", "FILE", add_rules_file, "lines such as: keep REGEX or set REGEX=ENCODING");

  command.group("How good");
  command.value("--bits", "N", encoding.bits, "bits a weight, 2 to 8 (default 4)");
  command.value(
      "--format", "FORMAT", encoding.format,
      "instead of --bits: E2M1 (2 exponent bits, 1 mantissa bit), or with block and scale E2M1/32/e8m0");
  command.value("--block", "BLOCK", encoding.block,
                "what shares a scale: tensor, row, or so many weights: 16 (default), 32, 64 or 128");
  command.value("--scale", "KIND", encoding.scale,
                "e8m0 (powers of two) or ue4m3 (finer); default ue4m3 for 16 to 128 weights, else e8m0");
  command.value("--effort", "EFFORT", encoding.effort, "exact (default) or fast: near-best scales, sooner");

  command.group("How fast");
  run.declare_resources(command);

  command.group("Output");
  command.flag("--dry-run", parsed.options.dry_run, "compute everything, write nothing; -o is not needed");
  command.flag("--force", parsed.options.force, "empty OUTPUT first, whatever it holds");
  run.declare_reporting(command, "list every tensor, not just the worst");

  command.example("afp quantize model -o model-4bit");
  command.example("afp quantize model -o model-6bit --bits 6 --keep 'lm_head|router'");
  command.parse(arguments);

  run.check(command);
  parsed.options.request = request_from(command, encoding);
  parsed.options.effort = parse_effort(command, encoding.effort);
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
