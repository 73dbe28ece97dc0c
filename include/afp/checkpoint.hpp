// Reading checkpoints: a `.safetensors` file or a folder in the Hugging Face layout (one file or
// shards with an index). Headers are checked whole before any weight is read; weights are read
// on demand, in pieces of the caller's choosing, and never more than asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "afp/tensor.hpp"

namespace afp {

// A tensor's place in its checkpoint.
struct CheckpointTensor : TensorInfo {
  std::size_t shard = 0;          // index into Checkpoint::shards()
  std::uint64_t file_offset = 0;  // of its first byte, from the start of the shard
};

struct CheckpointShard {
  std::string file_name;  // a plain name inside the folder
  std::uint64_t file_bytes = 0;
  std::uint64_t header_digest = 0;              // XXH3-64 of the header's bytes
  std::int64_t modified_ns = 0;                 // time of last modification, nanoseconds since the epoch
  std::map<std::string, std::string> metadata;  // the header's __metadata__
  std::vector<std::size_t> tensors;             // indices into Checkpoint::tensors(), in file order
};

enum class CheckpointKind { safetensors, sharded };  // one file; several files with an index

class Checkpoint {
 public:
  // `path` is a `.safetensors` file or a folder. Throws InputError (naming the file and, where
  // there is one, the tensor) for whatever is malformed, IoError for what cannot be read.
  static Checkpoint open(const std::filesystem::path& path);

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  CheckpointKind kind() const;
  const std::filesystem::path& path() const;    // as given to open()
  const std::filesystem::path& folder() const;  // that holds the shards
  bool is_folder() const;                       // open() was given a folder
  const std::vector<CheckpointShard>& shards() const;
  const std::vector<CheckpointTensor>& tensors() const;       // shard by shard, in file order
  const CheckpointTensor* find(std::string_view name) const;  // null when absent

  // Reads `out.size()` bytes of the tensor from byte `offset` on. Thread-safe. Throws IoError on
  // a failed read, InputError when the file has become shorter since it was opened.
  void read(const CheckpointTensor& tensor, std::uint64_t offset, std::span<std::byte> out) const;

  // Tells the system that this range will be read soon; never fails.
  void prefetch(const CheckpointTensor& tensor, std::uint64_t offset, std::uint64_t bytes) const noexcept;

  // The folder's other regular files (tokenizer, config.json, ...): not the shards, not a weight
  // index, not other weight files. Sorted; empty when open() was given a single file.
  const std::vector<std::string>& other_files() const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace afp
