// Choosing the scale of rows of several cells, or what candidates cost them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

inline constexpr int kMostRowCandidates = 32;

// Backend::choose_scales and block_costs of blocks of whole rows. The candidates are normalized alike:
// lowest_block_exponent() is the same of all.
struct SearchRows {
  DevicePiece piece;          // whole rows
  std::uint64_t strip_cells;  // cells_per_strip(grid), whole rows
  BlockCodec candidates[kMostRowCandidates];
  int count;
  const float* tensor_scale;  // in device memory, in place of the (one) candidate's; or null
  std::uint32_t sample;       // one row in so many, see afp/block_sample.hpp; 1: all
  std::uint8_t* scales;       // [candidate][row of the piece]; or null: not wanted
  StripSums* row_sums;        // [candidate][row of the piece]: room for what each row takes
  StripSums* sums;            // [candidate][strip of the piece]: row_sums added up; or null
};
cudaError_t search_rows(const SearchRows& task, cudaStream_t stream);

}  // namespace afp::kernels
