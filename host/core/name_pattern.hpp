// A regular expression on tensor names that cannot run away, and the name nearest to one that matched none.
#pragma once

#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace afp {

class NamePattern {
 public:
  // ECMAScript without back-references. UsageError says what is malformed.
  explicit NamePattern(const std::string& pattern);

  // Whether the pattern is found anywhere in the name.
  bool matches(const std::string& name) const;

 private:
  std::regex anywhere_;
};

// What ties tensors together: those with a match and the same text in all its groups, as with
// "layers\\.[0-9]+\\.(.*)" all layers' tensors of a kind.
class TiePattern {
 public:
  // As NamePattern.
  explicit TiePattern(const std::string& pattern);

  // The captured text; nothing where the pattern is not found in the name.
  std::optional<std::string> captured(const std::string& name) const;

 private:
  std::regex anywhere_;
};

// The name that holds something closest to the pattern's letters, by edit distance; the first of equals.
// Empty when there are no names.
std::string nearest_name(std::string_view pattern, const std::vector<std::string_view>& names);

}  // namespace afp
