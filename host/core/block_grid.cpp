// Cutting a tensor into rows, blocks and cells.
#include "afp/block_grid.hpp"

namespace afp {

BlockGrid::BlockGrid(Block block_, int bits_, const Shape& shape) : block(block_), bits(bits_) {
  const std::uint64_t weights = element_count(shape);
  rows = shape.size() < 2 ? 1 : shape[0];
  columns = rows == 0 ? 0 : weights / rows;
  const bool small = block.kind == BlockKind::small;
  cell_size = small ? block.size : kSegment;
  cells_per_row = ceil_div(columns, static_cast<std::uint64_t>(cell_size));
  blocks_per_row = small ? cells_per_row : 1;
  row_bytes = small ? Size(cells_per_row) * Size(packed_bytes(cell_size, bits))
                    : Size(ceil_div(columns, 32)) * Size(4 * bits);
  block_bytes = small ? packed_bytes(cell_size, bits) : row_bytes;
  (void)(Size(rows) * Size(row_bytes));  // throws here if the codes' size overflows
}

std::uint64_t BlockGrid::scale_count() const {
  if (weights() == 0) return 0;
  return block.kind == BlockKind::tensor ? 1 : rows * blocks_per_row;
}

std::uint64_t cells_per_strip(const BlockGrid& grid) {
  if (grid.block.kind != BlockKind::row) return kStripWeights / static_cast<std::uint64_t>(grid.cell_size);
  const std::uint64_t row = grid.cells_per_row * static_cast<std::uint64_t>(grid.cell_size);
  const std::uint64_t rows = row == 0 || row >= kStripWeights ? 1 : kStripWeights / row;
  return std::max<std::uint64_t>(1, rows * grid.cells_per_row);
}

}  // namespace afp
