// Bodies of size_text.hpp.
#include "host/cli/size_text.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace afp::cli {

std::optional<std::uint64_t> parse_size(std::string_view text) {
  double number = 0.0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  // from_chars also takes "-1", "inf" and "nan"
  if (error != std::errc{} || text.empty() ||
      !(std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '.'))
    return std::nullopt;

  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c)
    unit += static_cast<char>(std::toupper(static_cast<unsigned char>(*c)));
  double factor = 0.0;
  if (unit.empty() || unit == "B") factor = 1.0;
  double decimal = 1.0, binary = 1.0;
  for (const char prefix : {'K', 'M', 'G', 'T'}) {
    decimal *= 1000.0;
    binary *= 1024.0;
    if (unit == std::string{prefix, 'B'}) factor = decimal;
    if (unit == std::string{prefix, 'I', 'B'}) factor = binary;
  }
  const double bytes = std::round(number * factor);
  if (factor == 0.0 || bytes >= 0x1p64) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{}B", bytes);
  constexpr std::array<std::string_view, 4> kUnits = {"kB", "MB", "GB", "TB"};
  double number = static_cast<double>(bytes) / 1000.0;
  std::size_t unit = 0;
  for (; number >= 999.5 && unit + 1 < kUnits.size(); ++unit) number /= 1000.0;
  const int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", number, decimals, kUnits[unit]);
}

}  // namespace afp::cli
