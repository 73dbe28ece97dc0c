// Open files of the shards being read. A checkpoint may have more shards than a process may have
// open files, so only the few used last stay open; the others are opened again when they are needed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "host/checkpoint/file.hpp"

namespace afp {

class OpenShards {
 public:
  // Appends a shard and returns its number; `status` is what it must still be whenever it is read.
  std::size_t add(std::filesystem::path path, const FileStatus& status);

  // Thread-safe. A file stays open for as long as a caller holds it.
  std::shared_ptr<const File> get(std::size_t shard);

  // Throws InputError when the open file is no longer the one that was added.
  void require_unchanged(std::size_t shard, const File& file) const;

 private:
  struct Shard {
    std::filesystem::path path;
    FileStatus status;
  };
  std::vector<Shard> shards_;
  std::mutex mutex_;
  std::list<std::pair<std::size_t, std::shared_ptr<const File>>> recent_;  // latest first
};

}  // namespace afp
