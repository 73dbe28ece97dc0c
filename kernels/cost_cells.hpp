// What candidates cost the blocks that are cells (small blocks, and rows of one cell), every block under its
// best scale: all candidates in one pass, nothing else kept.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

inline constexpr int kMostCostCandidates = 32;

// Backend::block_costs. The candidates are normalized alike: lowest_block_exponent() is the same of all.
struct CostCells {
  DevicePiece piece;
  std::uint64_t strip_cells;  // cells_per_strip(grid)
  BlockCodec candidates[kMostCostCandidates];
  int count;
  Effort effort;
  std::uint32_t sample;  // one unit in so many, see afp/block_sample.hpp
  StripSums* sums;       // [candidate][strip of the piece]
};
cudaError_t cost_cells(const CostCells& task, cudaStream_t stream);

}  // namespace afp::kernels
