// Bodies of markup.hpp.
#include "host/cli/report/markup.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <limits>

#include "host/cli/size_text.hpp"

namespace afp::cli {
namespace {

constexpr std::string_view kSpace = "\u00A0";  // does not break

// Bytes of the code point at the start of `text`, and its value; 0 bytes where that is no UTF-8.
struct CodePoint {
  std::size_t bytes = 0;
  char32_t value = 0;
};
CodePoint code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {1, first};
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return {};
  char32_t value = first & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  const char32_t least = bytes == 2 ? 0x80 : bytes == 3 ? 0x800 : 0x10000;
  if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {bytes, value};
}

bool may_be_shown(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0x9F)) return false;
  if ((c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF)) return false;  // no characters
  if (c == 0x061C || c == 0x200E || c == 0x200F) return false;               // marks of direction
  return !((c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069));  // line breaks, overrides of direction
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint c = code_point(text);
    const std::size_t bytes = c.bytes == 0 ? 1 : c.bytes;
    if (c.bytes == 0 || !may_be_shown(c.value)) {
      for (const char byte : text.substr(0, bytes))
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    } else {
      switch (c.value) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\'':
          out += "&#39;";
          break;
        default:
          out += text.substr(0, bytes);
      }
    }
    text.remove_prefix(bytes);
  }
  return out;
}

std::string coordinate(double value, int decimals) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

std::string fixed(double value, int decimals) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  const std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !is_zero ? "−" + text : text;
}

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return fixed(value, 0);
  if (value == 0.0) return "0";
  const int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (exponent < -4 || exponent > 5) return fmt::format("{:.{}e}", value, digits - 1);
  return fixed(value, exponent + 1 >= digits ? 0 : digits - 1 - exponent);
}

std::string percent(double fraction) {
  const double value = 100.0 * fraction;
  const double size = std::abs(value);
  if (size > 0.0 && size < 0.005) return significant(value, 2) + std::string(kSpace) + "%";
  return fixed(value, size == 0.0 ? 0 : size < 1.0 ? 2 : 1) + std::string(kSpace) + "%";
}

std::string size_words(std::uint64_t bytes) {
  std::string text = size_text(bytes);
  const std::size_t unit = text.find_first_not_of("0123456789.");
  return text.insert(unit, kSpace);
}

double sqnr_db_of(double signal, double error) {
  if (error <= 0.0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(signal / error);
}

std::string sqnr_words(double signal, double error) {
  const double db = sqnr_db_of(signal, error);
  return std::isinf(db) && db > 0 ? "exact" : fixed(db, 2) + std::string(kSpace) + "dB";
}

}  // namespace afp::cli
