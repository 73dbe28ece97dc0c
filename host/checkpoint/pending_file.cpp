// Bodies of pending_file.hpp.
#include "host/checkpoint/pending_file.hpp"

#include <span>
#include <system_error>
#include <utility>

namespace afp {
namespace {

std::filesystem::path temporary_name(std::filesystem::path path) {
  return path += ".tmp";
}

// A new file always: writing through whatever stands there could reach another file by a link.
File create_anew(const std::filesystem::path& path) {
  remove_file(path);
  return File::create(path, IfExists::fail);
}

}  // namespace

PendingFile::PendingFile(std::filesystem::path final_path)
    : final_path_(std::move(final_path)),
      temporary_path_(temporary_name(final_path_)),
      file_(create_anew(temporary_path_)) {}

PendingFile::~PendingFile() {
  std::error_code ignored;  // a destructor has nobody to tell
  if (!committed_) std::filesystem::remove(temporary_path_, ignored);
}

void PendingFile::commit() {
  file_.sync();
  rename_file(temporary_path_, final_path_);
  committed_ = true;
  sync_folder(final_path_.parent_path());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  PendingFile pending(path);
  pending.file().write_at(0, std::as_bytes(std::span(text)));
  pending.commit();
}

}  // namespace afp
