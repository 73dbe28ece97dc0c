// A file that appears under its name only when it is complete: written as `<name>.tmp` beside it,
// then moved into place. Whatever happens before commit() leaves the name as it was.
#pragma once

#include <filesystem>
#include <string_view>

#include "host/checkpoint/file.hpp"

namespace afp {

class PendingFile {
 public:
  // A `.tmp` that an earlier, killed run left behind is replaced.
  explicit PendingFile(std::filesystem::path final_path);
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile();  // without a commit() the temporary file is removed

  const File& file() const { return file_; }

  // Content to the disk, rename, folder to the disk.
  void commit();

 private:
  std::filesystem::path final_path_;
  std::filesystem::path temporary_path_;
  File file_;
  bool committed_ = false;
};

// The whole of a small file at once, through a PendingFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace afp
