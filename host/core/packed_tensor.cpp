// Shapes and sizes of packed tensors: bodies of afp/packed_tensor.hpp.
#include "afp/packed_tensor.hpp"

#include "afp/size.hpp"

namespace afp {

Shape codes_shape(const BlockGrid& grid) {
  return {grid.rows, grid.blocks_per_row, grid.block_bytes};
}

Shape scales_shape(const BlockGrid& grid) {
  if (grid.weights() == 0) return {grid.rows, 0};
  if (grid.block.kind == BlockKind::tensor) return {1, 1};
  return {grid.rows, grid.blocks_per_row};
}

std::uint64_t packed_size(const Encoding& encoding, const Shape& shape) {
  const BlockGrid grid(encoding.block, encoding.bits(), shape);
  const std::uint64_t tensor_scale = encoding.scale == ScaleKind::ue4m3 ? sizeof(float) : 0;
  return Size(grid.code_bytes()) + Size(grid.scale_count()) + Size(tensor_scale);
}

}  // namespace afp
