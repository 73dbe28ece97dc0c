// What given scales cost the strips of a tensor block.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

inline constexpr int kMostSegmentScales = 32;

// Backend::score_scales: scales in normalized units, the weights multiplied by `normalizer`.
struct ScoreSegments {
  DevicePiece piece;
  std::uint64_t strip_cells;  // cells_per_strip(grid)
  float normalizer;           // 2^-LongBlock::exponent
  Format formats[kMostSegmentScales];
  float scales[kMostSegmentScales];
  int count;
  ScaleScore* scores;  // [strip of the piece][scale]
};
cudaError_t score_segments(const ScoreSegments& task, cudaStream_t stream);

}  // namespace afp::kernels
