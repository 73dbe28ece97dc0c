// SourceTensor: a tensor of the source on its way through passes of pieces. Its bytes are read from the file
// once where they may stay in memory between passes, else in every pass; they are digested as they come
// first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <vector>

#include "afp/block_grid.hpp"
#include "afp/checkpoint.hpp"
#include "host/checkpoint/digest.hpp"
#include "host/core/memory_shares.hpp"
#include "host/core/progress_meter.hpp"

namespace afp {

// What a piece's bytes are read into and, of F64 weights, rounded to.
struct SourceBuffer {
  explicit SourceBuffer(std::pmr::memory_resource& memory) : raw(&memory), narrowed(&memory) {}
  std::pmr::vector<std::byte> raw;
  std::pmr::vector<std::byte> narrowed;
};

class SourceTensor {
 public:
  struct Piece {
    CellRange cells;                   // of the grid it was cut by
    std::uint64_t begin = 0, end = 0;  // bytes of the tensor
  };

  SourceTensor(const Checkpoint& input, const CheckpointTensor& tensor);

  const CheckpointTensor& tensor() const { return *tensor_; }
  std::uint64_t bytes() const { return bytes_; }

  // Memory of bytes() bytes that is theirs for as long as there are passes.
  void stay_in(std::span<std::byte> memory) { resident_ = memory; }

  // At strips of the grid, which must be of this tensor's shape; an empty tensor has one empty piece. Throws
  // UsageError where a strip (a row that is a block) exceeds what the memory budget allows.
  std::vector<Piece> cut(const BlockGrid& grid, const MemoryShares& shares) const;
  // Anywhere.
  std::vector<Piece> cut(const MemoryShares& shares) const;

  // The bytes of a piece as in the file, valid until the buffer's next use. One thread at a time; the first
  // pass takes the pieces in order and leaves out none, and tells the meter, if there is one.
  std::span<const std::byte> read(const Piece& piece, SourceBuffer& buffer, ProgressMeter* meter);

  // The same as a backend takes them: F64 rounded to F32. Any thread.
  const std::byte* weights(std::span<const std::byte> bytes, SourceBuffer& buffer) const;

  std::string digest() const { return digest_.hex(); }  // XXH3-128, after the first pass

 private:
  const Checkpoint* input_;
  const CheckpointTensor* tensor_;
  std::uint64_t bytes_;
  std::span<std::byte> resident_;
  std::uint64_t loaded_ = 0;  // bytes read and digested so far, from the start
  Digest128 digest_;
};

}  // namespace afp
