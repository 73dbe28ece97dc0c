// Edits one top-level key of a JSON file as text: every byte that does not belong to that key stays as it
// is. Model configurations need this: some hold NaN or Infinity, which are not JSON, and people compare
// them by eye. Text that is not one object is an InputError naming `file`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace afp {

// The text of the key's value (a view into `text`), or nothing when there is no such key.
std::optional<std::string_view> find_top_level_key(std::string_view text, std::string_view key,
                                                   const std::string& file = {});

// Replaces the key's value, or appends the key in the file's own style (indentation, line ends, spaces).
// `value` is JSON indented as if it stood alone; its further lines are moved in as far as the keys are.
std::string set_top_level_key(std::string_view text, std::string_view key, std::string_view value,
                              const std::string& file = {});

// Takes key, value and one comma out; the text itself when there is no such key.
// Undoes a set_top_level_key that appended, wherever the object was not empty.
std::string remove_top_level_key(std::string_view text, std::string_view key, const std::string& file = {});

}  // namespace afp
