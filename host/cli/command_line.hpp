// CommandLine: the options of one verb, declared once for parsing and for --help. CLI11 takes the arguments
// apart; words for what is wrong with them, and the help screen, are made here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "afp/error.hpp"

namespace CLI {
class App;
}

namespace afp::cli {

// Thrown by parse() when help was asked for.
struct HelpRequested {
  std::string text;
};

class CommandLine {
 public:
  // verb "quantize", usage "INPUT -o OUTPUT [options]", purpose one sentence.
  CommandLine(std::string verb, std::string usage, std::string purpose);
  ~CommandLine();

  // The options declared from here on stand under this heading of the help. An option whose help is empty is
  // not mentioned there: describe() names several at once.
  void group(std::string title);
  void describe(const std::string& label, const std::string& help) { lines_.push_back({label, help}); }
  void positional(const std::string& name, std::string& target, const std::string& help);  // must be given
  // `names` as "--bits" or "-o,--output". A value option may be given once, a repeated one is handed each of
  // its values in the order of the command line.
  void value(const std::string& names, const std::string& metavar, std::optional<std::string>& target,
             const std::string& help);
  void repeated(const std::string& names, const std::string& metavar,
                std::function<void(const std::string&)> take, const std::string& help);
  void flag(const std::string& names, bool& target, const std::string& help);
  void example(std::string command);

  // Reads the arguments that follow the verb. Throws HelpRequested, or a UsageError of one line.
  void parse(const std::vector<std::string>& arguments);
  std::string help() const;

  // A UsageError that ends by naming this verb's --help.
  UsageError error(const std::string& message) const;

 private:
  struct Line {  // of the help; a heading where there is no label
    std::string label, text;
  };

  bool is_option(std::string_view word) const;
  [[noreturn]] void refuse_leftover(const std::vector<std::string>& leftover) const;

  std::string verb_, usage_, purpose_;
  std::vector<Line> lines_;
  std::vector<std::string> examples_;
  std::vector<std::string> option_names_;  // "-o", "--output", ...
  std::vector<std::pair<std::string, const std::string*>> positionals_;
  std::unique_ptr<CLI::App> app_;
};

// A UsageError about the program as a whole: what is wrong, then where to look.
UsageError usage_error(const std::string& message, const std::string& verb = {});

}  // namespace afp::cli
