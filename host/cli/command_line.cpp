// Bodies of command_line.hpp.
#include "host/cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

constexpr std::size_t kHelpWidth = 79;
constexpr std::size_t kHelpColumn = 26;  // where the explanations begin

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// The words of `text` from column `column` on, within kHelpWidth; `line` is what stands before them.
std::string wrapped(std::string line, std::size_t column, const std::string& text) {
  std::string out;
  bool first = true;
  for (const std::string& word : split(text, ' ')) {
    if (!first && line.size() + 1 + word.size() > kHelpWidth) {
      out += line + "\n";
      line.clear();
      first = true;
    }
    if (first && line.size() < column) line.resize(column, ' ');
    if (!first) line += ' ';
    line += word;
    first = false;
  }
  return out + line + "\n";
}

}  // namespace

CommandLine::CommandLine(std::string verb, std::string usage, std::string purpose)
    : verb_(std::move(verb)),
      usage_(std::move(usage)),
      purpose_(std::move(purpose)),
      option_names_{"-h", "--help"},
      app_(std::make_unique<CLI::App>()) {
  app_->allow_extras();
}

CommandLine::~CommandLine() = default;

void CommandLine::group(std::string title) {
  describe("", std::move(title));
}

void CommandLine::positional(const std::string& name, std::string& target, const std::string& help) {
  app_->add_option(name, target);
  positionals_.emplace_back(name, &target);
  describe(name, help);
}

void CommandLine::value(const std::string& names, const std::string& metavar,
                        std::optional<std::string>& target, const std::string& help) {
  const auto take = [this, names, &target](const std::string& text) {
    if (target) throw error(names.substr(names.find("--")) + " is given twice");
    target = text;
  };
  repeated(names, metavar, take, help);
}

void CommandLine::repeated(const std::string& names, const std::string& metavar,
                           std::function<void(const std::string&)> take, const std::string& help) {
  const std::vector<std::string> spellings = split(names, ',');
  const auto take_value = [this, name = spellings.back(), take = std::move(take)](const std::string& text) {
    if (is_option(text)) throw error(name + " needs a value, found the option " + text);
    take(text);
  };
  app_->add_option_function<std::string>(names, take_value)->trigger_on_parse();
  option_names_.insert(option_names_.end(), spellings.begin(), spellings.end());
  std::string label;
  for (const std::string& spelling : spellings)
    label += spelling + (&spelling == &spellings.back() ? " " : ", ");
  if (!help.empty()) describe(label + metavar, help);
}

void CommandLine::flag(const std::string& names, bool& target, const std::string& help) {
  app_->add_flag(names, target)->disable_flag_override();
  const std::vector<std::string> spellings = split(names, ',');
  option_names_.insert(option_names_.end(), spellings.begin(), spellings.end());
  if (!help.empty()) describe(names, help);
}

void CommandLine::example(std::string command) {
  examples_.push_back(std::move(command));
}

bool CommandLine::is_option(std::string_view word) const {
  return std::find(option_names_.begin(), option_names_.end(), word.substr(0, word.find('='))) !=
         option_names_.end();
}

void CommandLine::refuse_leftover(const std::vector<std::string>& leftover) const {
  for (const std::string& word : leftover) {
    if (word.size() < 2 || word[0] != '-' || word == "--") continue;
    const std::string name = word.substr(0, word.find('='));
    const std::string meant = nearest(name, option_names_);
    throw error("unknown option " + name + (meant.empty() ? "" : " (did you mean " + meant + "?)"));
  }
  throw error("unexpected argument '" + leftover.front() + "'");
}

void CommandLine::parse(const std::vector<std::string>& arguments) {
  for (const std::string& word : arguments) {
    if (word == "--") break;
    // CLI11 would take the next argument as the value
    if (word.ends_with('=') && word.find('=') == word.size() - 1 && is_option(word))
      throw error(word.substr(0, word.size() - 1) + " needs a value");
  }
  try {
    app_->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested{help()};
  } catch (const CLI::ArgumentMismatch& mismatch) {
    const std::string text = mismatch.what();
    std::string name = text.substr(0, text.find_first_of(": "));
    if (!name.starts_with('-')) name = "--" + name;
    throw error(name +
                (text.find("flag override") != std::string::npos ? " takes no value" : " needs a value"));
  } catch (const CLI::ParseError& other) {
    throw error(other.what());
  }
  if (const std::vector<std::string> leftover = app_->remaining(); !leftover.empty())
    refuse_leftover(leftover);
  for (const auto& [name, target] : positionals_)
    if (target->empty()) throw error(name + " is missing");
}

std::string CommandLine::help() const {
  std::string out = wrapped({}, 0, purpose_) + "\nUsage: afp " + verb_ + " " + usage_ + "\n";
  for (const Line& line : lines_) {
    if (line.label.empty())
      out += "\n" + line.text + "\n";
    else
      out += wrapped("  " + line.label, kHelpColumn, line.text);
  }
  out += wrapped("  -h, --help", kHelpColumn, "this text");
  out += "\nExamples\n";
  for (const std::string& example : examples_) out += "  " + example + "\n";
  return out;
}

UsageError CommandLine::error(const std::string& message) const {
  return usage_error(message, verb_);
}

UsageError usage_error(const std::string& message, const std::string& verb) {
  return UsageError(message + "; see afp " + (verb.empty() ? "" : verb + " ") + "--help");
}

}  // namespace afp::cli
