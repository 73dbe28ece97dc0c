// Filling a tile with cells of a piece, wherever they lie, and short ones too.
#if defined(AFP_HOST_CPU_LOAD_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_LOAD_TILE_INL_H_
#undef AFP_HOST_CPU_LOAD_TILE_INL_H_
#else
#define AFP_HOST_CPU_LOAD_TILE_INL_H_
#endif

#include "host/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// Cells [first, first + cells) of the piece's grid, zeros behind a short cell and in missing ones.
inline void load_tile(const WeightPiece& piece, std::uint64_t first, int cells, Tile& tile) {
  const BlockGrid& grid = piece.grid;
  const std::size_t width = static_cast<std::size_t>(dtype_bits(piece.dtype)) / 8;
  const std::uint64_t origin = grid.weight_begin(piece.cells.first);
  tile.length = tile_length(grid);
  tile.cells = cells;
  tile.cell_size = grid.cell_size;

  const auto* source =
      reinterpret_cast<const std::uint8_t*>(piece.weights) + (grid.weight_begin(first) - origin) * width;
  std::size_t stride = static_cast<std::size_t>(grid.cell_size) * width;
  alignas(64) std::uint8_t staged[kTileCells * kMaxCell * sizeof(float)];
  const bool whole_cells = grid.columns % grid.cell_size == 0;
  const bool within_row = first % grid.cells_per_row + kTileCells < grid.cells_per_row;
  if (cells < kTileCells || !(whole_cells || within_row)) {
    stride = static_cast<std::size_t>(tile.length) * width;
    std::memset(staged, 0, kTileCells * stride);
    for (int i = 0; i < cells; ++i) {
      const std::uint64_t cell = first + static_cast<std::uint64_t>(i);
      std::memcpy(
          staged + static_cast<std::size_t>(i) * stride,
          reinterpret_cast<const std::uint8_t*>(piece.weights) + (grid.weight_begin(cell) - origin) * width,
          static_cast<std::size_t>(grid.cell_weights(cell)) * width);
    }
    source = staged;
  }
  switch (piece.dtype) {
    case DType::BF16:
      return load_weights<DType::BF16>(source, stride, tile);
    case DType::F16:
      return load_weights<DType::F16>(source, stride, tile);
    default:
      return load_weights<DType::F32>(source, stride, tile);
  }
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
