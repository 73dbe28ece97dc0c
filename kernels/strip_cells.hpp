// The cells of a strip: where they lie, and loading them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cell_load.hpp"
#include "kernels/device.hpp"
#include "kernels/device_piece.hpp"
#include "kernels/quad_load.hpp"

namespace afp::kernels {

// What a thread holds of the cell of `count` weights at `cell`; all threads of a warp together.
template <int kWeights, int kThreads>
__device__ inline void load_cell(DType dtype, const std::byte* cell, int count, int thread,
                                 float (&weights)[kWeights]) {
  if constexpr (kThreads == kQuad) {
    load_quad(dtype, cell, count, weights);
  } else if (count == kWeights * kThreads && reinterpret_cast<std::uintptr_t>(cell) % 16 == 0) {
    if (dtype == DType::F32)
      load_floats<kWeights, kThreads>(cell, thread, weights);
    else if (dtype == DType::BF16)
      load_halves<kWeights, kThreads, true>(cell, thread, weights);
    else
      load_halves<kWeights, kThreads, false>(cell, thread, weights);
  } else {
    load_one_by_one<kWeights, kThreads>(dtype, cell, count, thread, weights);
  }
}

// How many weights there is room for where the grid's cells are held: 16, 32, 64 or 128.
inline int held_weights(const BlockGrid& grid) {
  if (grid.block.kind == BlockKind::small) return grid.cell_size;
  return grid.columns <= 16 ? 16 : grid.columns <= 32 ? 32 : grid.columns <= 64 ? 64 : 128;
}

// Where the cells of a strip lie in a piece.
class StripPlaces {
 public:
  // `first`: the strip's first cell, as the grid counts.
  __device__ StripPlaces(const DevicePiece& piece, std::uint64_t first)
      : grid_(piece.grid),
        whole_(piece.grid.columns == piece.grid.cells_per_row * static_cast<unsigned>(piece.grid.cell_size)),
        column_(whole_ ? 0 : first % piece.grid.cells_per_row),
        width_(static_cast<unsigned>(weight_bytes(piece.dtype))),
        base_(piece.weights + row_weights(piece, first) * width_) {}

  struct Cell {
    const std::byte* weights;
    int count;
  };
  // The cell `index` cells behind the first.
  __device__ Cell cell(unsigned index) const {
    const unsigned size = static_cast<unsigned>(grid_.cell_size);
    if (whole_) return {base_ + std::size_t{index} * size * width_, grid_.cell_size};
    const std::uint64_t at = column_ + index;
    std::uint64_t row, column;
    if (at <= 0xFFFFFFFFu && grid_.cells_per_row <= 0xFFFFFFFFu) {  // division of 64 bits is dear
      const auto low = static_cast<std::uint32_t>(at),
                 per_row = static_cast<std::uint32_t>(grid_.cells_per_row);
      row = low / per_row;
      column = low % per_row;
    } else {
      row = at / grid_.cells_per_row;
      column = at % grid_.cells_per_row;
    }
    const std::uint64_t begin = column * size, left = grid_.columns - begin;
    return {base_ + (row * grid_.columns + begin) * width_,
            left < size ? static_cast<int>(left) : grid_.cell_size};
  }

 private:
  // The weights of the piece before the row of the cell `first`, or before the cell itself.
  __device__ std::uint64_t row_weights(const DevicePiece& piece, std::uint64_t first) const {
    const auto size = static_cast<unsigned>(piece.grid.cell_size);
    if (whole_) return (first - piece.cells.first) * size;
    return piece.grid.weight_begin(first) - piece.first_weight() - column_ * size;
  }

  const BlockGrid& grid_;
  bool whole_;            // no cell is short
  std::uint64_t column_;  // of cells, the strip's first
  unsigned width_;
  const std::byte* base_;  // of the first cell's row, or of the cell itself
};

}  // namespace afp::kernels
