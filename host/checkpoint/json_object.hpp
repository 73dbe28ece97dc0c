// One object of this library's own JSON files, read key by key: a missing key, a value of another type and a
// key that nobody asked for are InputErrors that say where in the file they are.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace afp {

class JsonObject {
 public:
  // `where` places the object in the file: "tensors[3]", or nothing for the outermost. The value must outlive
  // this.
  JsonObject(const nlohmann::json& value, std::string where, const std::string& file);

  // From here on messages name the object so.
  void rename(std::string where) { where_ = std::move(where); }

  bool has(const std::string& key) const { return object_->contains(key); }
  const std::string& text(const std::string& key);
  std::uint64_t unsigned_number(const std::string& key);
  double number(const std::string& key);
  bool boolean(const std::string& key);
  const nlohmann::json& array(const std::string& key);

  // After the last key that is known.
  void refuse_other_keys() const;

  [[noreturn]] void fail(const std::string& message) const;

 private:
  const nlohmann::json& get(const std::string& key);
  [[noreturn]] void wrong_type(const std::string& key, const std::string& expected) const;

  const nlohmann::json* object_;
  std::string where_;
  std::string file_;
  std::set<std::string> asked_;
};

// "tensors[3]"
std::string element_name(const std::string& array, std::size_t index);

// One line of JSON; text that is not UTF-8 is an InputError.
std::string dump_line(const nlohmann::ordered_json& value);
// The same over several lines, indented by two spaces.
std::string dump_indented(const nlohmann::ordered_json& value);

// "[", one element a line, "]".
std::string lines_in_brackets(const std::vector<nlohmann::ordered_json>& elements);

}  // namespace afp
