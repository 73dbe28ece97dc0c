// What quantize and search have in common on their command lines: which tensors, how many bits, which blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/plan.hpp"
#include "host/cli/command_line.hpp"

namespace afp::cli {

// Calls the library's parser; its error gets the option's name in front.
template <class Parser>
auto parse_option(const CommandLine& command, const std::string& option, const std::string& text,
                  const Parser& parser) {
  try {
    return parser(text);
  } catch (const UsageError& wrong) {
    throw command.error(option + ": " + wrong.what());
  }
}

// A whole number from `lowest` to `highest`.
std::uint64_t parse_number(const CommandLine& command, const std::string& option, const std::string& text,
                           std::uint64_t lowest, std::uint64_t highest);
// A finite number above 0, perhaps followed by a unit ("dB").
double parse_positive(const CommandLine& command, const std::string& option, const std::string& text,
                      std::string_view unit = {});

struct EncodingArguments {
  std::optional<std::string> bits, format, block, scale, effort;
  std::vector<Rule> rules;  // in the order of the command line

  void declare_rules(CommandLine& command);
  void declare_sizes(CommandLine& command, bool with_format);

  // Throw UsageError for values that make no sense.
  EncodingRequest request(const CommandLine& command) const;
  Effort parsed_effort(const CommandLine& command) const;
};

}  // namespace afp::cli
