// Sizes as people write them: `3.5GB` (powers of 1000), `3.5GiB` (powers of 1024), `512` (bytes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace afp::cli {

// Nothing for what is no size: a sign, an unknown unit, more than 64 bits can hold. Case does not matter.
std::optional<std::uint64_t> parse_size(std::string_view text);

// Three significant digits with the decimal unit, as "1.23GB"; whole bytes below 1000.
std::string size_text(std::uint64_t bytes);

}  // namespace afp::cli
