// Writes one safetensors file from pieces that arrive in any order and from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "afp/tensor.hpp"
#include "host/checkpoint/pending_file.hpp"
#include "host/checkpoint/safetensors_header.hpp"

namespace afp {

class ShardWriter {
 public:
  // Claims the whole file's space (a full disk is found here) and writes the header to `<final_path>.tmp`.
  ShardWriter(std::filesystem::path final_path, const std::vector<TensorInfo>& tensors,
              const std::map<std::string, std::string>& metadata);

  // Bytes of tensor number `tensor` (in the order given above) from byte `offset` of it on. Thread-safe.
  // Every byte is to be written once: commit() counts.
  void write(std::size_t tensor, std::uint64_t offset, std::span<const std::byte> data);

  // The file, complete, under its final name and on the disk. UsageError while bytes are missing.
  void commit();

  std::uint64_t file_bytes() const { return data_begin_ + data_bytes_; }

 private:
  std::vector<SafetensorsEntry> tensors_;
  std::uint64_t data_begin_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::atomic<std::uint64_t> written_ = 0;
  PendingFile pending_;
};

}  // namespace afp
