// Bodies of BlockSample.
#include "afp/block_sample.hpp"

#include "afp/error.hpp"

namespace afp {

BlockSample::BlockSample(const BlockGrid& grid, std::uint32_t one_in)
    : one_in_(one_in),
      cells_per_unit_(grid.block.kind == BlockKind::row && grid.cells_per_row > 1 ? grid.cells_per_row
                                                                                  : kSampleCells),
      units_(ceil_div(grid.cells(), cells_per_unit_)) {
  if (one_in == 0) throw UsageError("a sample takes one block in so many, found 0; expected 1 or more");
  if (grid.block.kind == BlockKind::tensor)
    throw UsageError("a tensor block is one block; expected row or small blocks to take a sample of");
}

std::uint64_t BlockSample::weights(const BlockGrid& grid, CellRange cells) const {
  std::uint64_t weights = 0;
  for_each_unit(cells, [&](CellRange unit) {
    weights += grid.weight_begin(unit.first + unit.count) - grid.weight_begin(unit.first);
  });
  return weights;
}

}  // namespace afp
