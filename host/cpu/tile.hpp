// A tile: 16 cells side by side, transposed so that a vector register holds weight j of several
// cells. Sums, scales and bounds of a cell then live in one lane and need no shuffles, and the
// result does not depend on how many lanes a register has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/backend.hpp"
#include "afp/block_grid.hpp"
#include "afp/cell_sum.hpp"

namespace afp::cpu {

inline constexpr int kTileCells = kRunningSums;  // tiles begin at multiples of 16 cells
inline constexpr int kMaxCell = kSegment;

// [weight][cell], `length` weights in use (a multiple of 16; missing weights are zero).
struct Tile {
  int length;
  int cells;                                            // in use; the others are zero
  int cell_size;                                        // weights in a full cell; length or more
  alignas(64) float weights[kMaxCell * kTileCells];     // as in the checkpoint, with their signs
  alignas(64) float magnitudes[kMaxCell * kTileCells];  // |w| * normalizer of the cell's block
  alignas(64) float binades[kMaxCell * kTileCells];     // 2^k <= magnitude < 2^(k+1), 0 for subnormal ones

  // Per cell: the largest |w| of its block and the next, its normalizer 2^-exponent, chosen so that the
  // block's largest magnitude is in [1, 2) where that keeps the scales below in range, and that exponent.
  alignas(64) float absmax[kTileCells];
  alignas(64) float second[kTileCells];  // the largest |w| but one
  alignas(64) float normalizer[kTileCells];
  alignas(64) std::int32_t exponent[kTileCells] = {};
};

// Weights a tile's cells span, rounded up to whole groups of 16.
inline int tile_length(const BlockGrid& grid) {
  const std::uint64_t longest = grid.columns < static_cast<std::uint64_t>(grid.cell_size)
                                    ? grid.columns
                                    : static_cast<std::uint64_t>(grid.cell_size);
  return static_cast<int>((longest + 15) / 16 * 16);
}

}  // namespace afp::cpu
