// Rules as text: "keep REGEX", "only REGEX", "set REGEX=ENCODING".
#include <algorithm>

#include "afp/error.hpp"
#include "afp/plan.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/core/name_pattern.hpp"

namespace afp {
namespace {

constexpr std::string_view kSpaces = " \t\r";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

[[noreturn]] void fail(std::string_view text) {
  throw UsageError("not a rule: " + in_quotes(text) +
                   "; expected keep REGEX, only REGEX or set REGEX=ENCODING, as set q_proj=E2M1/32");
}

}  // namespace

Rule Rule::parse(std::string_view text) {
  const std::string_view line = trim(text);
  const std::size_t space = line.find_first_of(kSpaces);
  if (space == std::string_view::npos) fail(line);
  const std::string_view verb = line.substr(0, space);
  const std::string_view rest = trim(line.substr(space));
  Rule rule;
  if (verb == "keep" || verb == "only") {
    rule.action = verb == "keep" ? Action::keep : Action::only;
    rule.pattern = rest;
  } else if (verb == "set") {
    const std::size_t equals = rest.rfind('=');  // an Encoding has none, a pattern may
    if (equals == std::string_view::npos) fail(line);
    rule.action = Action::set;
    rule.pattern = trim(rest.substr(0, equals));
    rule.encoding = parse_encoding(trim(rest.substr(equals + 1)));
  } else {
    fail(line);
  }
  (void)NamePattern(rule.pattern);  // throws here, where the caller knows the line
  return rule;
}

std::string to_string(const Rule& rule) {
  switch (rule.action) {
    case Rule::Action::keep:
      return "keep " + rule.pattern;
    case Rule::Action::only:
      return "only " + rule.pattern;
    case Rule::Action::set:
      break;
  }
  if (!rule.encoding) throw UsageError("the rule set " + rule.pattern + " names no Encoding");
  return "set " + rule.pattern + "=" + to_string(*rule.encoding);
}

std::vector<Rule> parse_rules(std::string_view text, const std::string& file) {
  std::vector<Rule> rules;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    try {
      rules.push_back(Rule::parse(line));
    } catch (const UsageError& error) {
      throw InputError("line " + std::to_string(number) + ": " + error.what(), file);
    }
  }
  return rules;
}

}  // namespace afp
