// A folder that one process at a time works in: two runs with the same output would replace each other's
// unfinished files.
#pragma once

#include <filesystem>

namespace afp {

class FolderLock {
 public:
  // UsageError when another process holds it. Held until the destructor, or the process's end however it
  // comes; leaves nothing in the folder. File systems without locks give none, silently.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  int descriptor_ = -1;
};

}  // namespace afp
