// Choosing the scale of every block that is a cell (small blocks, and rows of one cell), and its codes in the
// same pass.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

// Backend::choose_scales for one candidate; with `codes` Backend::quantize. Places are the piece's own: index
// 0 is its first block, strip, code byte.
struct SearchCells {
  DevicePiece piece;
  std::uint64_t strip_cells;  // cells_per_strip(grid)
  BlockCodec codec;
  const float* tensor_scale;  // in device memory, in place of the codec's; or null
  Effort effort;
  std::uint8_t* scales;  // one byte a block
  StripSums* sums;       // one a strip; or null: not wanted
  std::uint8_t* codes;   // aligned to 16 bytes; or null: not wanted
};
cudaError_t search_cells(const SearchCells& task, cudaStream_t stream);

}  // namespace afp::kernels
