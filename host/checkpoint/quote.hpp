// How text that came from a file appears inside an error message: always one line, never long.
#pragma once

#include <string>
#include <string_view>

namespace afp {

// 'text', with control characters as \xNN and anything past 100 bytes as "...".
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  if (text.size() > kLongest) out += "...";
  return out + "'";
}

}  // namespace afp
