// Bodies of name_pattern.hpp.
#include "host/core/name_pattern.hpp"

#include <algorithm>
#include <numeric>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {
namespace {

// Names and patterns that people write are far below these; what remains is bounded work.
constexpr std::size_t kLongestPattern = 512;
constexpr std::size_t kLongestName = 512;

constexpr std::regex::flag_type kSyntax = std::regex::ECMAScript |
                                          std::regex::optimize
#if defined(__GLIBCXX__)
                                          // Time proportional to the name's length, where backtracking could
                                          // take for ever on patterns like (a+)+$. Forbids back-references.
                                          | std::regex_constants::__polynomial
#endif
    ;

const char* explain(std::regex_constants::error_type code) {
  switch (code) {
    case std::regex_constants::error_brack:
      return "its '[' and ']' do not pair up";
    case std::regex_constants::error_paren:
    case std::regex_constants::error_badrepeat:
      return "its '(' and ')' do not pair up, or a '*', '+' or '?' has nothing to repeat";
    case std::regex_constants::error_brace:
      return "its '{' and '}' do not pair up";
    case std::regex_constants::error_badbrace:
      return "what is in '{' and '}' is no repetition";
    case std::regex_constants::error_range:
      return "a range in '[' and ']' is malformed";
    case std::regex_constants::error_escape:
      return "what follows a '\\' is unknown";
    case std::regex_constants::error_backref:
    case std::regex_constants::error_complexity:
      return "back-references are not supported";
    case std::regex_constants::error_space:
      return "it is too large once its repetitions are written out";
    default:
      return "it is malformed";
  }
}

std::regex compile(const std::string& pattern, std::regex::flag_type flags) {
  if (pattern.empty()) throw UsageError("a regular expression is empty");
  if (pattern.size() > kLongestPattern) {
    throw UsageError("the regular expression " + in_quotes(pattern) + " has " +
                     std::to_string(pattern.size()) + " bytes; expected at most " +
                     std::to_string(kLongestPattern));
  }
  try {
    (void)std::regex(pattern, flags);  // alone first: wrapped, "a)(b" would pass
    // One pass over the name; a search would start anew at each of its letters.
    return std::regex("(?:.|\\n|\\r)*?(?:" + pattern + ")(?:.|\\n|\\r)*", flags);
  } catch (const std::regex_error& error) {
    throw UsageError("not a regular expression: " + in_quotes(pattern) + "; " + explain(error.code()));
  }
}

void require_short(const std::string& name) {
  if (name.size() > kLongestName) {
    throw InputError("the name " + in_quotes(name) + " has " + std::to_string(name.size()) +
                     " bytes; rules can be applied to names of at most " + std::to_string(kLongestName));
  }
}

// The least number of letters to insert, remove or replace that makes `pattern` a part of `name`.
std::size_t distance_inside(std::string_view pattern, std::string_view name) {
  std::vector<std::size_t> row(pattern.size() + 1);  // of the pattern's beginnings, against the name so far
  std::iota(row.begin(), row.end(), std::size_t{0});
  std::size_t least = row.back();
  for (const char letter : name) {
    std::size_t diagonal = row[0];  // stays 0: the part may begin anywhere
    for (std::size_t i = 1; i < row.size(); ++i) {
      const std::size_t replaced = diagonal + (pattern[i - 1] == letter ? 0 : 1);
      diagonal = row[i];
      row[i] = std::min({replaced, row[i] + 1, row[i - 1] + 1});
    }
    least = std::min(least, row.back());
  }
  return least;
}

}  // namespace

NamePattern::NamePattern(const std::string& pattern)
    : anywhere_(compile(pattern, kSyntax | std::regex::nosubs)) {}

bool NamePattern::matches(const std::string& name) const {
  require_short(name);
  return std::regex_match(name, anywhere_);
}

TiePattern::TiePattern(const std::string& pattern) : anywhere_(compile(pattern, kSyntax)) {}

std::optional<std::string> TiePattern::captured(const std::string& name) const {
  require_short(name);
  std::smatch match;
  if (!std::regex_match(name, match, anywhere_)) return std::nullopt;
  std::string text;
  for (std::size_t group = 1; group < match.size(); ++group)
    text += std::to_string(match.length(group)) + ":" + match.str(group);  // "a", "bc" is not "ab", "c"
  return text;
}

std::string nearest_name(std::string_view pattern, const std::vector<std::string_view>& names) {
  std::string letters;
  std::copy_if(pattern.begin(), pattern.end(), std::back_inserter(letters),
               [](char c) { return std::string_view("\\^$*+?()[]{}|").find(c) == std::string_view::npos; });
  const auto nearest =
      std::min_element(names.begin(), names.end(), [&](std::string_view a, std::string_view b) {
        return distance_inside(letters, a) < distance_inside(letters, b);
      });
  return nearest == names.end() ? std::string() : std::string(*nearest);
}

}  // namespace afp
