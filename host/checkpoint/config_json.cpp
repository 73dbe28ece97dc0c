// Bodies of config_json.hpp: a scanner that finds the top-level keys, and edits around what it found.
#include "host/checkpoint/config_json.hpp"

#include <nlohmann/json.hpp>
#include <vector>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/strict_json.hpp"

namespace afp {
namespace {

// Positions in the text: key [key_begin, key_end) with its quotes, value [value_begin, value_end).
struct Member {
  std::string key;
  std::size_t key_begin = 0;
  std::size_t key_end = 0;
  std::size_t value_begin = 0;
  std::size_t value_end = 0;
};

struct Object {
  std::size_t open = 0;   // of its '{'
  std::size_t close = 0;  // of its '}'
  std::vector<Member> members;
};

// Follows strings and brackets only: inside a value everything else is somebody else's business.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Object object() {
    Object object;
    skip_space();
    object.open = position_;
    expect('{');
    skip_space();
    if (peek() != '}') {
      object.members.push_back(member());
      while (peek() == ',') {
        ++position_;
        skip_space();
        object.members.push_back(member());
      }
    }
    object.close = position_;
    expect('}');
    require_end();
    return object;
  }

  // One value and nothing else.
  void lone_value() {
    skip_space();
    value();
    require_end();
  }

 private:
  Member member() {
    Member member;
    member.key_begin = position_;
    string();
    member.key_end = position_;
    member.key = decoded(text_.substr(member.key_begin, member.key_end - member.key_begin));
    skip_space();
    expect(':');
    skip_space();
    member.value_begin = position_;
    value();
    member.value_end = position_;
    skip_space();
    return member;
  }

  void value() {
    std::string open;  // the closing brackets that are due
    do {
      skip_space();
      const char c = peek();
      if (c == '{' || c == '[') {
        open += c == '{' ? '}' : ']';
        ++position_;
      } else if (!open.empty() && c == open.back()) {
        open.pop_back();
        ++position_;
      } else if (c == '"') {
        string();
      } else if (!open.empty() && (c == ',' || c == ':')) {
        ++position_;
      } else {
        word();
      }
    } while (!open.empty());
  }

  // A number, true, false, null, NaN, Infinity, -Infinity.
  void word() {
    constexpr std::string_view kWord = "+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const std::size_t end = std::min(text_.find_first_not_of(kWord, position_), text_.size());
    if (end == position_) fail("a value");
    position_ = end;
  }

  void string() {
    expect('"');
    while (peek() != '"') {
      if (peek() == '\\') ++position_;
      if (position_ >= text_.size()) fail("the end of a string");
      ++position_;
    }
    ++position_;
  }

  std::string decoded(std::string_view quoted_key) const {
    const auto key = nlohmann::json::parse(quoted_key, nullptr, /*allow_exceptions=*/false);
    if (!key.is_string())
      throw InputError("is not JSON: key " + in_quotes(quoted_key) + " is malformed", file_);
    return key.get<std::string>();
  }

  void skip_space() { position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size()); }
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  void expect(char c) {
    if (peek() != c) fail(std::string("'") + c + "'");
    ++position_;
  }

  void require_end() {
    skip_space();
    if (position_ < text_.size()) fail("the end of the text");
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw InputError("is not one JSON object: expected " + expected + " at byte " + std::to_string(position_),
                     file_);
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t position_ = 0;
};

// The member's number, or the count of members when absent. Twice would leave the value in doubt.
std::size_t find_member(const Object& object, std::string_view key, const std::string& file) {
  std::size_t found = object.members.size();
  for (std::size_t i = 0; i < object.members.size(); ++i) {
    if (object.members[i].key != key) continue;
    if (found < object.members.size()) throw InputError("key " + in_quotes(key) + " appears twice", file);
    found = i;
  }
  return found;
}

std::string_view between(std::string_view text, std::size_t begin, std::size_t end) {
  return text.substr(begin, end - begin);
}

// What stands before every member: a line end with the indentation, or spaces, or nothing.
std::string member_separator(std::string_view text, const Object& object) {
  if (object.members.empty()) return "\n  ";
  std::string_view space = between(text, object.open + 1, object.members.front().key_begin);
  const std::size_t line_end = space.rfind('\n');
  if (line_end != std::string_view::npos) {  // blank lines before it are not repeated
    const bool carriage_return = line_end > 0 && space[line_end - 1] == '\r';
    return std::string(space.substr(line_end - (carriage_return ? 1 : 0)));
  }
  if (object.members.size() > 1) {  // {"a": 1, "b": 2}: the space after the comma
    space = between(text, object.members[0].value_end, object.members[1].key_begin);
    return std::string(space.substr(space.find(',') + 1));
  }
  return object.members[0].key_end + 1 < object.members[0].value_begin ? " " : "";
}

// Inside a JSON string no line ends, so every line end in `value` is layout.
std::string indented(std::string_view value, const std::string& separator) {
  if (separator.find('\n') == std::string::npos) return std::string(value);
  std::string out;
  for (const char c : value) {
    if (c == '\n') {
      out += separator;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::optional<std::string_view> find_top_level_key(std::string_view text, std::string_view key,
                                                   const std::string& file) {
  const Object object = Scanner(text, file).object();
  const std::size_t found = find_member(object, key, file);
  if (found == object.members.size()) return std::nullopt;
  return between(text, object.members[found].value_begin, object.members[found].value_end);
}

std::string set_top_level_key(std::string_view text, std::string_view key, std::string_view value,
                              const std::string& file) {
  Scanner(value, file).lone_value();
  const Object object = Scanner(text, file).object();
  const std::string separator = member_separator(text, object);
  const std::string new_value = indented(value, separator);
  const std::size_t found = find_member(object, key, file);
  std::string out(text);
  if (found < object.members.size()) {
    const Member& member = object.members[found];
    return out.replace(member.value_begin, member.value_end - member.value_begin, new_value);
  }
  const std::string quoted_key = nlohmann::json(key).dump();
  if (object.members.empty()) {
    return out.replace(object.open + 1, object.close - object.open - 1,
                       separator + quoted_key + ": " + new_value + "\n");
  }
  const Member& first = object.members.front();
  const std::string colon(between(text, first.key_end, first.value_begin));
  return out.insert(object.members.back().value_end, "," + separator + quoted_key + colon + new_value);
}

std::string remove_top_level_key(std::string_view text, std::string_view key, const std::string& file) {
  const Object object = Scanner(text, file).object();
  const std::size_t found = find_member(object, key, file);
  std::string out(text);
  if (found == object.members.size()) return out;
  const Member& member = object.members[found];
  if (object.members.size() == 1) return out.erase(object.open + 1, object.close - object.open - 1);
  if (found == 0) return out.erase(member.key_begin, object.members[1].key_begin - member.key_begin);
  const std::size_t begin = object.members[found - 1].value_end;
  return out.erase(begin, member.value_end - begin);
}

}  // namespace afp
