// A strip a block of threads, its cells in registers (kernels/held_cell.hpp), one scan a cell, all lanes of a
// warp side by side (BlockScan).
//
// Ceiling: instructions. 2 + N / 8 bytes a weight are moved (F32: 4 + N / 8), which at 4 TB/s would be 1.6 T
// weights/s at N = 4. Instructions a weight, as sm_90a has them, blocks of 32:
//
//     7    loading, the largest, signs, normalizing, the sum of squares
//     5    a scale that is tried under e8m0 if E = 1, else 7; one more where something clips
//     6    one under ue4m3 if E = 1, else 8; without mantissa bits 10; one more where something clips
//     1    what a block decides between two scales, shared by its weights
//     11   encoding, packing, storing
//
// With ordinary weights a warp tries two scales under e8m0 at N = 4, and 12 of either Format of E1M2+E2M1, 8
// of which nothing clips under: some 40 and 220 instructions a weight.
#include "afp/cell_sum.hpp"
#include "kernels/cell_codes.hpp"
#include "kernels/device.hpp"
#include "kernels/held_cell.hpp"
#include "kernels/search_cells.hpp"
#include "kernels/strip_cells.hpp"

namespace afp::kernels {
namespace {

constexpr int kBlockThreads = 256;

struct SearchTask : SearchCells {
  CellCoding coding;
};

// Adds up a strip: lane i of the first half warp the errors of the cells i mod 16, of the second half the
// signals. Called by one warp.
__device__ void sum_strip(const float* errors, const float* signals, const std::int16_t* exponents,
                          unsigned cells, StripSums* sums) {
  const unsigned lane = threadIdx.x % kWarp;
  const float* values = lane < kRunningSums ? errors : signals;
  double sum = 0.0;
#pragma unroll 8
  for (unsigned i = lane % kRunningSums; i < cells; i += kRunningSums)
    sum += cell_term(values[i], square_unit(exponents[i]));
  for (int width = 1; width < kRunningSums; width *= 2) sum += __shfl_down_sync(kAllLanes, sum, width);
  if (lane == 0) sums->error = sum;
  if (lane == kRunningSums) sums->signal = sum;
}

template <int kWeights, int kThreads>
__global__ __launch_bounds__(kBlockThreads, 2) void search_strip(const SearchTask task) {
  constexpr unsigned kCells = kStripWeights / (kWeights * kThreads);  // of a strip, at most
  constexpr unsigned kAtOnce = kBlockThreads / kThreads;
  using Codes = CellCodes<kWeights, kThreads>;
  AFP_SHARED(float, errors, kCells);
  AFP_SHARED(float, signals, kCells);
  AFP_SHARED(std::int16_t, exponents, kCells);
  AFP_SHARED(std::uint32_t, staged, kAtOnce * Codes::kStagedWords + 1);
  AFP_SHARED(ScanCodec, scan_codec, 1);

  const DevicePiece& piece = task.piece;
  BlockCodec codec = task.codec;
  if (task.tensor_scale != nullptr) codec.tensor_scale = *task.tensor_scale;
  if (threadIdx.x == 0) scan_codec[0] = ScanCodec(codec);
  __syncthreads();
  const int lowest = lowest_block_exponent(codec.scale, codec.tensor_scale);
  const std::uint64_t first = blockIdx.x * task.strip_cells;
  const std::uint64_t left = piece.cells.count - first;
  const auto cells = static_cast<unsigned>(left < task.strip_cells ? left : task.strip_cells);
  const StripPlaces places(piece, piece.cells.first + first);
  const bool is_row = piece.grid.block.kind == BlockKind::row;
  const std::uint64_t block_bytes = piece.grid.block_bytes;
  const int thread = static_cast<int>(threadIdx.x % kThreads);

  for (unsigned begin = 0; begin < cells; begin += kAtOnce) {
    const unsigned slot = threadIdx.x / kThreads, index = begin + slot;
    const bool exists = index < cells;
    float weights[kWeights];
    StripPlaces::Cell place{nullptr, 0};
    if (exists) place = places.cell(index);
    load_cell<kWeights, kThreads>(piece.dtype, place.weights, place.count, thread, weights);
    HeldCell<kWeights, kThreads> cell;
    const BlockFacts facts = cell.set(weights, lowest);
    const float signal = cell.signal();
    const BlockScale best =
        BlockScan<HeldCell<kWeights, kThreads>>(scan_codec[0], facts, task.effort, cell).best();
    if (exists && thread == 0) {
      task.scales[first + index] = static_cast<std::uint8_t>(best.byte);
      errors[index] = best.cost;
      signals[index] = signal;
      exponents[index] = static_cast<std::int16_t>(facts.exponent);
    }
    if (task.codes != nullptr) {
      Codes codes(cell, codec, task.coding, facts.exponent, best.byte);
      codes.exchange(thread, &staged[slot * Codes::kStagedWords]);
      std::uint8_t* out = task.codes + (first + index) * block_bytes;
      if (exists && is_row) codes.store_row(codec.bits(), thread, block_bytes, out);
      if (exists && !is_row) codes.store_block(codec.bits(), thread, out);
    }
  }
  if (task.sums == nullptr) return;
  __syncthreads();
  if (threadIdx.x < kWarp) sum_strip(errors, signals, exponents, cells, &task.sums[blockIdx.x]);
}

}  // namespace

cudaError_t search_cells(const SearchCells& task, cudaStream_t stream) {
  const BlockGrid& grid = task.piece.grid;
  const auto strips = static_cast<unsigned>(ceil_div(task.piece.cells.count, task.strip_cells));
  const auto start = [&](void (*kernel)(SearchTask)) {
    return launch(kernel, dim3(strips), dim3(kBlockThreads), 0, stream,
                  SearchTask{task, CellCoding::of(task.codec)});
  };
  switch (held_weights(grid)) {
    case 16:
      return start(search_strip<16, 1>);
    case 32:
      return start(search_strip<32, 1>);
    case 64:
      return start(search_strip<32, 2>);
    default:
      return start(search_strip<32, 4>);
  }
}

}  // namespace afp::kernels
