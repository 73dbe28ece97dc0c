// Small matters of text: what may appear on a terminal, how wide it is, what a shell would read back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace afp::cli {

// Control characters as \xNN: text from files and file names cannot break a line or move the cursor.
std::string printable(std::string_view text);

// Columns that UTF-8 text takes on a terminal, one a code point.
std::size_t display_width(std::string_view text);

// `text` in at most `width` columns, with "..." in place of its middle where it is longer.
std::string shorten(std::string_view text, std::size_t width);

// The argument as a POSIX shell reads it back: in single quotes where it needs them.
std::string shell_quoted(std::string_view argument);
std::string shell_command(std::span<const std::string> arguments);

// The word that is fewest edits away from `text`; empty when none is close enough to be meant.
std::string nearest(std::string_view text, const std::vector<std::string>& words);

std::string with_thousands(std::uint64_t number);                // "1,234,567"
std::string plural(std::uint64_t count, std::string_view noun);  // "1 tensor", "2 tensors"

}  // namespace afp::cli
