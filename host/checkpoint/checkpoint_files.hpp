// Which files make up a checkpoint, decided from names alone (and the index, where there is one).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/checkpoint/shard_index.hpp"

namespace afp {

struct CheckpointFiles {
  bool is_folder = false;
  std::filesystem::path folder;              // "." for a bare file name
  std::vector<std::string> shards;           // plain names, sorted
  std::vector<std::filesystem::path> paths;  // of the shards, as messages should show them
  std::optional<WeightMap> weight_map;       // of the index
  std::string index_path;                    // empty without an index
  std::vector<std::string> other_files;      // the folder's other regular files, sorted
};

// `path` is a file, which is then the only shard whatever it is called, or a folder: one with an index is
// sharded, any other must hold model.safetensors or exactly one .safetensors file. All shards exist.
// Links are followed, as for any file that the user names: download caches consist of them.
CheckpointFiles find_checkpoint_files(const std::filesystem::path& path);

}  // namespace afp
