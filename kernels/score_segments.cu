// A block takes eight scales of a strip. Four threads hold a cell, in registers (kernels/held_cell.hpp), and
// score it under all of the block's scales; the sums of two scales over the strip are one warp's business.
//
// Ceiling: ALU. Of memory it takes 2 or 4 bytes a weight once, and again from L2 for every further eight
// scales. Instructions a weight: 5 to load and normalize, and 12 or 13 a scale, what clips included.
#include "afp/cell_sum.hpp"
#include "kernels/device.hpp"
#include "kernels/quad_load.hpp"
#include "kernels/score_segments.hpp"
#include "kernels/strip_cells.hpp"

namespace afp::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kTileCells = kThreads / kQuad;
constexpr int kScales = 8;               // a block
constexpr int kStride = kTileCells + 8;  // of a scale and quantity: reading meets in no bank
static_assert(kScales / 2 * kWarp <= kThreads && kMostSegmentScales % kScales == 0);

struct ScaleInUse {
  ScaleInUse() = default;
  __device__ ScaleInUse(Format format, float scale_)
      : rounding(format), scale(scale_), reciprocal(scale_reciprocal(scale_)) {}
  // A power of two has no mantissa bits.
  __device__ BlockTrial trial() const {
    return {rounding, scale, reciprocal, (float_bits(scale) & 0x7FFFFFu) == 0, true};
  }
  Rounding rounding;
  float scale = 0.0f;
  float reciprocal = 0.0f;
};

// Block (x, y): strip x, scales 8 y and what follows.
__global__ __launch_bounds__(kThreads, 3) void score_strip(ScoreSegments task) {
  AFP_SHARED(float, errors, 2 * kScales * kStride);  // [buffer][scale][cell of the tile]
  AFP_SHARED(float, clipped, 2 * kScales * kStride);
  const DevicePiece& piece = task.piece;
  const std::uint64_t first = blockIdx.x * task.strip_cells;
  const std::uint64_t left = piece.cells.count - first;
  const auto cells = static_cast<unsigned>(left < task.strip_cells ? left : task.strip_cells);
  const StripPlaces places(piece, piece.cells.first + first);
  const int first_scale = static_cast<int>(blockIdx.y) * kScales;
  const int scales = task.count - first_scale < kScales ? task.count - first_scale : kScales;
  const int thread = static_cast<int>(threadIdx.x % kQuad);
  const unsigned slot = threadIdx.x / kQuad;
  // Warp w adds up scales 2 w and 2 w + 1, half a warp each.
  const int own = static_cast<int>(threadIdx.x) / kRunningSums;
  double error = 0.0, beyond = 0.0;
  int buffer = 0;
  for (unsigned begin = 0; begin < cells; begin += kTileCells, buffer ^= 1) {
    StripPlaces::Cell place{nullptr, 0};
    if (begin + slot < cells) place = places.cell(begin + slot);
    float weights[kQuadWeights];
    load_quad(piece.dtype, place.weights, place.count, weights);
    HeldCell<kQuadWeights, kQuad> cell;
#pragma unroll
    for (int i = 0; i < kQuadWeights; ++i) cell.magnitudes[i] = fabsf(weights[i]) * task.normalizer;
    float* const tile_errors = errors + buffer * kScales * kStride;
    float* const tile_clipped = clipped + buffer * kScales * kStride;
#pragma unroll 1
    for (int s = 0; s < scales; ++s) {
      const ScaleInUse scale(task.formats[first_scale + s], task.scales[first_scale + s]);
      const float cell_error = cell.error(scale.trial());
      const float cell_clipped = cell.clipped(scale.scale * scale.rounding.max_value);
      if (thread == 0) tile_errors[s * kStride + static_cast<int>(slot)] = cell_error;
      if (thread == 1) tile_clipped[s * kStride + static_cast<int>(slot)] = cell_clipped;
    }
    __syncthreads();  // the other buffer is free: all that read it have come here since
    if (own >= scales) continue;
    for (int i = static_cast<int>(threadIdx.x) % kRunningSums; i < kTileCells; i += kRunningSums) {
      error += static_cast<double>(tile_errors[own * kStride + i]);
      beyond += static_cast<double>(tile_clipped[own * kStride + i]);
    }
  }
  if (threadIdx.x / kWarp >= kScales / 2) return;
  for (int distance = 1; distance < kRunningSums; distance *= 2) {
    error += __shfl_xor_sync(kAllLanes, error, distance);
    beyond += __shfl_xor_sync(kAllLanes, beyond, distance);
  }
  if (own < scales && threadIdx.x % kRunningSums == 0)
    task.scores[std::uint64_t{blockIdx.x} * static_cast<unsigned>(task.count) +
                static_cast<unsigned>(first_scale + own)] = {error, beyond};
}

}  // namespace

cudaError_t score_segments(const ScoreSegments& task, cudaStream_t stream) {
  if (task.piece.cells.count == 0 || task.count == 0) return cudaSuccess;
  const auto strips = static_cast<unsigned>(ceil_div(task.piece.cells.count, task.strip_cells));
  const auto groups = static_cast<unsigned>((task.count + kScales - 1) / kScales);
  return launch(score_strip, dim3(strips, groups), dim3(kThreads), 0, stream, task);
}

}  // namespace afp::kernels
