// Reads one tensor of a packed checkpoint piece by piece: what dequantizing and verifying have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/packed_checkpoint.hpp"

namespace afp {

class PackedReader {
 public:
  // `entry` is a packed tensor of `packed`. Reads the tensor's scale, whatever its value.
  PackedReader(const PackedCheckpoint& packed, const PackedEntry& entry);

  const PackedEntry& entry() const { return *entry_; }
  const BlockGrid& grid() const { return grid_; }
  const TensorCodec& codec() const { return codec_; }
  bool tensor_scale_is_valid() const;  // positive and finite
  std::string file() const;            // that holds the codes, for messages

  // Cells and their codes; the scale bytes of the blocks they belong to.
  std::uint64_t code_bytes(CellRange cells) const;
  std::uint64_t scale_count(CellRange cells) const;
  // Of these the ones whose block begins among the cells: over all pieces every scale counts once.
  std::uint64_t new_scale_count(CellRange cells) const;
  void read_codes(CellRange cells, std::vector<std::uint8_t>& codes) const;
  void read_scales(CellRange cells, std::vector<std::uint8_t>& scales) const;

  std::uint64_t weights(CellRange cells) const {
    return grid_.weight_begin(cells.first + cells.count) - grid_.weight_begin(cells.first);
  }

 private:
  const Checkpoint* checkpoint_;
  const PackedEntry* entry_;
  BlockGrid grid_;
  TensorCodec codec_;
};

// The cells of the grid in pieces of about `weights` weights: whole strips, where a strip is no larger than
// that. (A row of a row block is a strip however long it is; there is no need to read it at once here.)
std::vector<CellRange> cut_into_pieces(const BlockGrid& grid, std::uint64_t weights);

// Whether a block may have this scale byte.
bool is_scale_byte(const Encoding& encoding, std::uint8_t byte);
// Index of the first byte that is none.
std::optional<std::size_t> find_invalid_scale(const Encoding& encoding, std::span<const std::uint8_t> scales);

}  // namespace afp
