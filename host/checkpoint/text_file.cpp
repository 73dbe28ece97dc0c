// Bodies of afp/text_file.hpp.
#include "afp/text_file.hpp"

#include <system_error>

#include "afp/error.hpp"
#include "host/checkpoint/file.hpp"
#include "host/checkpoint/pending_file.hpp"

namespace afp {

std::string read_text(const std::filesystem::path& path, std::uint64_t limit) {
  return read_text_file(path, limit);
}

void require_writable(const std::filesystem::path& path, bool may_exist) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw UsageError(path.string() + " is a folder; expected the name of a file to write");
  if (!may_exist && std::filesystem::exists(path, ignored))
    throw UsageError(path.string() + " exists already; give another name, or --force to replace it");
  const std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder, ignored))
    throw UsageError(path.string() + " cannot be written: there is no folder " + folder.string());
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(std::filesystem::absolute(path), text);
}

}  // namespace afp
