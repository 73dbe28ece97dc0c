// What must hold of the bytes of a packed piece whatever tensor they came from, and how far the weights
// they decode to are from the source's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"

namespace afp {

// Codes and scales of consecutive cells, as PackedReader reads them.
struct PackedPiece {
  const BlockGrid& grid;
  const Encoding& encoding;
  CellRange cells;
  std::span<const std::uint8_t> codes;
  std::span<const std::uint8_t> scales;
};

// Each in words, empty where all is well: the first scale byte that is none; the first code bits behind the
// end of a row that are not zero; the first block with the scale 0 (ue4m3) whose codes are not all zero.
std::string find_bad_scale(const PackedPiece& piece);
std::string find_bad_padding(const PackedPiece& piece);
std::string find_bad_zero_block(const PackedPiece& piece);

// Sums over `count` weights: the squares of decoded - source, and of source. `source` is in memory as in
// a file, of dtype BF16, F16 or F32.
StripSums measure_error(const std::byte* source, DType dtype, const float* decoded, std::uint64_t count);

}  // namespace afp
