// The squared error under given scales, weighted by column.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

// Backend::weighted_errors.
struct WeightedErrors {
  DevicePiece piece;
  std::uint64_t strip_cells;  // cells_per_strip(grid)
  BlockCodec codec;
  const std::uint8_t* scales;  // as Encode takes them
  const float* importance;     // one number a column of the grid
  double* errors;              // one a strip of the piece
};
cudaError_t weighted_errors(const WeightedErrors& task, cudaStream_t stream);

}  // namespace afp::kernels
