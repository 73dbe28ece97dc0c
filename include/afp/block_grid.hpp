// BlockGrid: how the weights of a tensor are cut into blocks and where their codes and scales lie.
//
// The tensor is seen as `rows` x `columns`: rows are the first dimension, columns the product of
// the others (a tensor of rank 0 or 1 is one row). A row is cut into cells, the unit in which work
// and sums are divided: a small block is a cell, a row or tensor block consists of cells of 128
// weights. The last cell of a row may be shorter.
//
// Codes of a row:  small blocks: every block takes block_size * N bits, the last one filled up with
//                  zero codes; else N 32-bit words per 32 weights, the last word group filled up.
// Scales:          one byte a block; [rows, blocks_per_row], for a tensor block one byte in all.
#pragma once

#include <cstdint>

#include "afp/encoding.hpp"
#include "afp/hd.hpp"
#include "afp/packing.hpp"
#include "afp/size.hpp"
#include "afp/tensor.hpp"

namespace afp {

inline constexpr int kSegment = 128;  // weights in a cell of a row or tensor block

struct BlockGrid {
  BlockGrid(Block block, int bits, const Shape& shape);

  Block block;
  int bits;
  std::uint64_t rows;
  std::uint64_t columns;
  int cell_size;  // weights in a full cell
  std::uint64_t cells_per_row;
  std::uint64_t blocks_per_row;  // scale bytes a row; a tensor block has one byte in all
  std::uint64_t row_bytes;       // codes of a row
  std::uint64_t block_bytes;     // codes of a block (small), or of the row

  AFP_HD std::uint64_t cells() const { return rows * cells_per_row; }
  AFP_HD std::uint64_t weights() const { return rows * columns; }
  std::uint64_t scale_count() const;
  AFP_HD std::uint64_t code_bytes() const { return rows * row_bytes; }
  AFP_HD std::uint64_t cell_bytes() const { return packed_bytes(cell_size, bits); }

  // Where cell `cell` begins among the tensor's weights and code bytes. cells() is past the end.
  AFP_HD std::uint64_t weight_begin(std::uint64_t cell) const {
    return cell / cells_per_row * columns + cell % cells_per_row * cell_size;
  }
  AFP_HD std::uint64_t code_begin(std::uint64_t cell) const {
    if (block.kind == BlockKind::small) return cell * cell_bytes();
    return cell / cells_per_row * row_bytes + cell % cells_per_row * cell_bytes();
  }
  // Weights of this cell: cell_size, or what is left of the row.
  AFP_HD int cell_weights(std::uint64_t cell) const {
    const std::uint64_t left = columns - cell % cells_per_row * cell_size;
    return left < static_cast<std::uint64_t>(cell_size) ? static_cast<int>(left) : cell_size;
  }
  // Index of the scale byte of this cell.
  AFP_HD std::uint64_t scale_index(std::uint64_t cell) const {
    switch (block.kind) {
      case BlockKind::tensor:
        return 0;
      case BlockKind::row:
        return cell / cells_per_row;
      case BlockKind::small:
        break;
    }
    return cell;
  }
};

// Whether every block is one cell: small blocks, and rows of at most kSegment weights.
inline bool blocks_are_cells(const BlockGrid& grid) {
  return grid.block.kind == BlockKind::small ||
         (grid.block.kind == BlockKind::row && grid.cells_per_row == 1);
}

// Cells [first, first + count) of a grid.
struct CellRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

// Strips: about 65,536 weights each, whole rows where a row is a block. Sums over a tensor are taken
// strip by strip, then over the strips from left to right: a shape that depends on the tensor alone,
// not on how many threads or pieces share the work. Within a strip the cells are added in 16 running
// sums, cell i to sum i mod 16, which are then added pairwise, neighbours first (a row of several cells
// is summed likewise in strips of its own, and the rows of a strip from left to right). Work is divided
// at strip boundaries only.
inline constexpr std::uint64_t kStripWeights = 65536;
std::uint64_t cells_per_strip(const BlockGrid& grid);
inline std::uint64_t strip_count(const BlockGrid& grid, CellRange cells) {
  return ceil_div(cells.count, cells_per_strip(grid));
}

}  // namespace afp
