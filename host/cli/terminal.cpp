// Bodies of terminal.hpp.
#include "host/cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

namespace afp::cli {

bool is_terminal(std::FILE* stream) {
  return ::isatty(::fileno(stream)) == 1;
}

std::optional<std::size_t> terminal_width(std::FILE* stream) {
  if (!is_terminal(stream)) return std::nullopt;
  constexpr std::size_t kUsual = 80;  // a terminal that does not tell its size, as a serial line
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsual;
  return size.ws_col;
}

}  // namespace afp::cli
