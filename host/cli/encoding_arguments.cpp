// Bodies of encoding_arguments.hpp.
#include "host/cli/encoding_arguments.hpp"

#include <charconv>
#include <cmath>

#include "afp/text_file.hpp"

namespace afp::cli {

std::uint64_t parse_number(const CommandLine& command, const std::string& option, const std::string& text,
                           std::uint64_t lowest, std::uint64_t highest) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < lowest || number > highest)
    throw command.error(option + ": expected a number from " + std::to_string(lowest) + " to " +
                        std::to_string(highest) + ", found '" + text + "'");
  return number;
}

double parse_positive(const CommandLine& command, const std::string& option, const std::string& text,
                      std::string_view unit) {
  std::string_view digits = text;
  if (!unit.empty() && digits.ends_with(unit)) digits.remove_suffix(unit.size());
  double number = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || !std::isfinite(number) || number <= 0.0)
    throw command.error(option + ": expected a number above 0, found '" + text + "'");
  return number;
}

void EncodingArguments::declare_rules(CommandLine& command) {
  const auto add_rule = [&](const char* verb) {
    return [this, &command, verb](const std::string& text) {
      rules.push_back(parse_option(command, std::string("--") + verb, std::string(verb) + " " + text,
                                   [](const std::string& rule) { return Rule::parse(rule); }));
    };
  };
  const auto add_rules_file = [this](const std::string& path) {
    constexpr std::uint64_t kMost = 1 << 20;
    for (Rule& rule : parse_rules(read_text(path, kMost), path)) rules.push_back(std::move(rule));
  };
  command.describe("--keep, --only REGEX", "leave what matches as it is; or take only that");
  command.repeated("--keep", "REGEX", add_rule("keep"), "");
  command.repeated("--only", "REGEX", add_rule("only"), "");
  command.repeated("--set", "REGEX=ENCODING", add_rule("set"), "give those an Encoding, as 'mlp=E3M2/row'");
  command.repeated("--rules", "FILE", add_rules_file, "lines such as: keep REGEX or set REGEX=ENCODING");
}

void EncodingArguments::declare_sizes(CommandLine& command, bool with_format) {
  command.value("--bits", "N", bits, "bits a weight, 2 to 8 (default 4)");
  if (with_format)
    command.value("--format", "FORMAT", format, "instead: E2M1, or with the rest, E2M1/32/e8m0");
  command.value("--block", "BLOCK", block, "what shares a scale: tensor, row, 16 (default) .. 128");
  command.value("--scale", "KIND", scale, "e8m0 or ue4m3 (finer; default of 16 .. 128)");
  command.value("--effort", "EFFORT", effort, "exact (default) or fast: near-best scales, sooner");
}

EncodingRequest EncodingArguments::request(const CommandLine& command) const {
  const bool whole = format && format->find('/') != std::string::npos;
  if (whole && (block || scale))
    throw command.error("--format " + *format + " is a whole Encoding, it contradicts " +
                        (block ? "--block" : "--scale"));

  EncodingRequest request;
  if (block) request.block = parse_option(command, "--block", *block, parse_block);
  request.scale =
      scale ? parse_option(command, "--scale", *scale, parse_scale) : default_scale(request.block);
  if (bits) request.bits = static_cast<int>(parse_number(command, "--bits", *bits, kMinBits, kMaxBits));
  if (!format) return request;

  const auto parse_whole = [&](const std::string& text) {
    if (whole) return parse_encoding(text);
    parse_format(text.substr(0, text.find('+')));  // so that what is wrong is said about FORMAT alone
    return parse_encoding(text + "/" + to_string(request.block) + "/" +
                          std::string(to_string(request.scale)));
  };
  request.encoding = parse_option(command, "--format", *format, parse_whole);
  if (bits && request.bits != request.encoding->bits())
    throw command.error("--bits " + *bits + " contradicts --format " + *format + ", which has " +
                        std::to_string(request.encoding->bits()) + " bits");
  request.bits = request.encoding->bits();
  return request;
}

Effort EncodingArguments::parsed_effort(const CommandLine& command) const {
  if (!effort || *effort == "exact") return Effort::exact;
  if (*effort == "fast") return Effort::fast;
  throw command.error("--effort: expected exact or fast, found '" + *effort + "'");
}

}  // namespace afp::cli
