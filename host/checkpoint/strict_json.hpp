// JSON as this library reads it: UTF-8, no key twice in one object, bounded depth; anything else is an
// InputError. (The JSON library alone keeps the last of equal keys and stops silently at a zero byte.)
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace afp {

// Throws InputError unless `text` is UTF-8 without zero bytes; `what` names it in the message ("header").
void require_utf8(std::string_view text, const std::string& what, const std::string& file);

// Position of the first byte that is not part of well-formed UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text);

nlohmann::json parse_strict_json(std::string_view text, const std::string& file);

}  // namespace afp
