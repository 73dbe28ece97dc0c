// What is known about the terminal, if there is one.
#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>

namespace afp::cli {

bool is_terminal(std::FILE* stream);

// Columns of the terminal behind the stream, now; nothing where it is a file or a pipe.
std::optional<std::size_t> terminal_width(std::FILE* stream);

}  // namespace afp::cli
