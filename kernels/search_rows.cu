// Rows of several cells. Four threads hold a cell, in registers (kernels/held_cell.hpp). Rows of up to 1,024
// weights: several a warp, which scan side by side and exchange sums by shuffles alone. Longer ones: a block
// a row, which adds up its cells through shared memory; beyond 24,576 weights a row is read again, from a
// cache mostly, for every step of its scans.
//
// Ceiling: instructions. Of memory a kernel takes 2 or 4 bytes a weight, once. Of instructions a weight takes
// about 18 until it is in its unit and the signal is known, 5 to 8 a scale of e8m0 and 5 to 11 of ue4m3, 4
// for what clips, and a step of the scan 7 for its sums and control: some 55 for e8m0 at N = 4, where two
// scales decide nearly always, 300 for a pair under ue4m3. An H200 issues 30 T a second.
#include "afp/block_sample.hpp"
#include "afp/cell_sum.hpp"
#include "afp/row_scan.hpp"
#include "kernels/device.hpp"
#include "kernels/quad_load.hpp"
#include "kernels/search_rows.hpp"

namespace afp::kernels {
namespace {

constexpr int kWarpCells = kWarp / kQuad;
constexpr int kWarpRow = kWarpCells * kSegment;  // weights of a row that a warp holds
constexpr int kShortThreads = 128;
// Blocks of a long row: one that fits takes as few threads as hold it.
constexpr int kMostThreads = 768, kTiledThreads = 256;
constexpr int kMostTileCells = kMostThreads / kQuad;
constexpr unsigned kRowStripCells = kStripWeights / kSegment;
static_assert(kRowStripCells % (kTiledThreads / kQuad) == 0);

// The rows of a piece that are taken: one of each group of `sample` rows of the tensor.
struct RowTask {
  SearchRows search;
  std::uint64_t first_row, rows;  // of the tensor; of the piece
  std::uint64_t first_group, groups;

  explicit RowTask(const SearchRows& task)
      : search(task),
        first_row(task.piece.cells.first / task.piece.grid.cells_per_row),
        rows(task.piece.cells.count / task.piece.grid.cells_per_row),
        first_group(first_row / task.sample),
        groups(ceil_div(first_row + rows, task.sample) - first_group) {}

  AFP_HD std::uint64_t row_bytes() const {
    return search.piece.grid.columns * static_cast<std::uint64_t>(weight_bytes(search.piece.dtype));
  }
  AFP_HD std::uint64_t group_of(std::uint64_t row) const {
    return (first_row + row) / search.sample - first_group;
  }
  // The row taken of group `group` of the piece; one past the piece where none of its rows is.
  AFP_HD std::uint64_t taken_row(std::uint64_t group) const {
    if (search.sample == 1) return group;
    const std::uint64_t row = sampled_unit(first_group + group, search.sample, search.piece.grid.rows);
    const std::uint64_t own = row - first_row;  // more than any where that is negative
    return own < rows ? own : rows;
  }
  AFP_HD float tensor_scale(int candidate) const {
    return search.tensor_scale != nullptr ? *search.tensor_scale : search.candidates[candidate].tensor_scale;
  }
  // Of a row's results.
  AFP_HD std::uint64_t place(std::uint64_t row, int candidate) const {
    return static_cast<std::uint64_t>(candidate) * rows + row;
  }
  AFP_HD const std::byte* weights_of(std::uint64_t row) const {
    return search.piece.weights + row * row_bytes();
  }
};

// What all candidates share of a row, and where their results go.
struct RowUnit {
  float absmax;
  int exponent;

  AFP_HD RowUnit(const RowTask& task, float absmax_)
      : absmax(absmax_),
        exponent(block_exponent(lowest_block_exponent(task.search.candidates[0].scale, task.tensor_scale(0)),
                                absmax_)) {}

  AFP_HD float normalizer() const { return exp2_int(-exponent); }
  // The signal is stored before the scans, so that no register holds it meanwhile.
  AFP_HD void store_signal(const RowTask& task, std::uint64_t row, double signal) const {
    for (int c = 0; c < task.search.count; ++c)
      task.search.row_sums[task.place(row, c)].signal = signal * square_unit(exponent);
  }
  AFP_HD void store(const RowTask& task, std::uint64_t row, int candidate, const RowScan& scan) const {
    const std::uint64_t place = task.place(row, candidate);
    task.search.row_sums[place].error = scan.best() * square_unit(exponent);
    if (task.search.scales != nullptr)
      task.search.scales[place] = static_cast<std::uint8_t>(scan.best_byte());
  }
};

// One thread's part of a cell.
class RowCell {
 public:
  // Quantities that a cell adds to sums over the row: errors under scales, and what clips.
  static constexpr int kClipped = RowScan::kMostAsked, kQuantities = kClipped + 1;
  static_assert(kQuantities == kQuad);

  // The cell that begins at weight `first` of the row, which holds nothing there from `columns` on. Returns
  // the largest magnitude of the thread's.
  __device__ float load(DType dtype, const std::byte* row, std::uint64_t columns, std::uint64_t first) {
    const std::uint64_t left = first < columns ? columns - first : 0;
    float weights[kQuadWeights];
    load_quad(dtype, row + first * static_cast<std::uint64_t>(weight_bytes(dtype)),
              left < kSegment ? static_cast<int>(left) : kSegment, weights);
    float largest = 0.0f;
#pragma unroll
    for (int i = 0; i < kQuadWeights; ++i) {
      cell_.magnitudes[i] = fabsf(weights[i]);
      largest = greater(largest, cell_.magnitudes[i]);
    }
    return largest;
  }
  __device__ void normalize(float normalizer) {
#pragma unroll
    for (int i = 0; i < kQuadWeights; ++i) cell_.magnitudes[i] *= normalizer;
  }

  // These are for all lanes of a warp together. Thread u of the four gets quantity u of the cell: the signal
  // (all get it),
  __device__ float signal() const {
    return cell_.signal();
  }
  // or what the scan asks for; zeros for what it does not.
  __device__ float costs(const RowScan& scan) {
    float own = 0.0f;
    const int asked = scan.asked();
#pragma unroll 1
    for (int i = 0; cell_.any(i < asked); ++i) {
      forget_derived();
      BlockTrial trial = scan.trial(i);
      trial.may_clip = cell_.any(trial.may_clip);
      const float error = cell_.error(trial);
      own = thread() == i ? error : own;
    }
    if (!cell_.any(scan.limit_clips())) return own;
    const float clipped = cell_.clipped(scan.limit());
    return thread() == kClipped ? clipped : own;
  }

  // Keeps the compiler from holding the binades of all magnitudes in registers throughout a scan: one
  // instruction less of nine, but half as many warps.
  __device__ void forget_derived() {
#if defined(__CUDA_ARCH__)
#pragma unroll
    for (int i = 0; i < kQuadWeights; ++i) asm volatile("" : "+f"(cell_.magnitudes[i]));
#endif
  }

  __device__ static int thread() {
    return static_cast<int>(threadIdx.x % kQuad);
  }

 private:
  HeldCell<kQuadWeights, kQuad> cell_;
};

// --- Rows of at most kWarpRow weights ---

// Over the cells of rows of `lanes` threads, as afp/block_grid.hpp has it: a row has no more than 16 cells.
__device__ inline double team_total(float value, int lanes) {
  double total = static_cast<double>(value);
  for (int distance = kQuad; distance < lanes; distance *= 2)
    total += __shfl_xor_sync(kAllLanes, total, distance);
  return total;
}
__device__ inline double quad_value(double value, int thread) {
  return __shfl_sync(kAllLanes, value, thread, kQuad);
}

// `lanes` threads a row: 8, 16 or 32.
__global__ __launch_bounds__(kShortThreads, 6) void search_short_rows(RowTask task, int lanes) {
  const unsigned teams = static_cast<unsigned>(kShortThreads / lanes);
  const unsigned team = threadIdx.x / static_cast<unsigned>(lanes);
  const unsigned member = threadIdx.x % static_cast<unsigned>(lanes);
  const DevicePiece& piece = task.search.piece;
  const std::uint64_t group = std::uint64_t{blockIdx.x} * teams + team;
  const std::uint64_t row = group < task.groups ? task.taken_row(group) : task.rows;
  const bool taken = row < task.rows;
  RowCell cell;
  float absmax = cell.load(piece.dtype, task.weights_of(taken ? row : 0), taken ? piece.grid.columns : 0,
                           member / kQuad * kSegment);
  for (int distance = 1; distance < lanes; distance *= 2)
    absmax = greater(absmax, __shfl_xor_sync(kAllLanes, absmax, distance));
  const RowUnit unit(task, absmax);
  cell.normalize(unit.normalizer());
  const double signal = team_total(cell.signal(), lanes);
  if (taken && member == 0) unit.store_signal(task, row, signal);
  for (int c = 0; c < task.search.count; ++c) {
    const BlockCodec& codec = task.search.candidates[c];
    RowScan scan(codec, task.tensor_scale(c), unit.absmax, unit.exponent);
    for (int f = 0; f < codec.format_count; ++f) {
      scan.begin(f);
      while (__any_sync(kAllLanes, !scan.done())) {
        const double total = team_total(cell.costs(scan), lanes);
        const double errors[] = {quad_value(total, 0), quad_value(total, 1), quad_value(total, 2)};
        scan.take(errors, quad_value(total, RowCell::kClipped));
      }
    }
    if (taken && member == 0) unit.store(task, row, c, scan);
  }
}

// --- Longer rows ---

// A row in the hands of a block: a tile of cells at a time, blockDim.x / 4 of them.
template <bool kResident>
class LongRow {
 public:
  // The quantities of a tile's cells, padded so that neither writing nor reading meets in a bank.
  static constexpr int kStride = kMostTileCells + 8;
  static_assert(kMostTileCells % kWarp == 0);
  static constexpr int kBuffer = RowCell::kQuantities * kStride;
  static constexpr int kSharedFloats = 2 * kBuffer;

  __device__ LongRow(const RowTask& task, float* shared) : task_(task), shared_(shared) {}

  // Finds the largest magnitude of a row.
  __device__ float begin(std::uint64_t row) {
    weights_ = task_.weights_of(row);
    float absmax = 0.0f;
    for_each_tile([&](unsigned first) { absmax = greater(absmax, load(first)); });
    const auto larger = [](float a, float b) { return greater(a, b); };
    absmax = warp_reduce(absmax, larger);
    float* const warps = next_buffer();
    if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = absmax;
    __syncthreads();
    const unsigned lane = threadIdx.x % kWarp;
    return warp_reduce(lane < blockDim.x / kWarp ? warps[lane] : 0.0f, larger);
  }
  __device__ void normalize_by(float normalizer) {
    normalizer_ = normalizer;
    if constexpr (kResident) cell_.normalize(normalizer);
  }

  // costs(cell) is of thread u of the four quantity u of the cell: the totals of the quantities over the row.
  template <class Costs>
  __device__ void totals(const Costs& costs, double (&totals)[RowCell::kQuantities]) {
    const unsigned lane = threadIdx.x % kWarp;
    // Half a warp adds quantities 0 and 1, the other half 2 and 3.
    const unsigned own = lane / kRunningSums * 2;
    double lanes[2] = {}, row[2] = {};
    for_each_tile([&](unsigned first) {
      if constexpr (!kResident) {
        load(first);
        cell_.normalize(normalizer_);
      }
      float* const buffer = next_buffer();
      buffer[RowCell::thread() * kStride + static_cast<int>(threadIdx.x) / kQuad] = costs(cell_);
      __syncthreads();
      for (unsigned cell = lane % kRunningSums; cell < tile_cells(); cell += kRunningSums) {
        lanes[0] += static_cast<double>(buffer[own * kStride + cell]);
        lanes[1] += static_cast<double>(buffer[(own + 1) * kStride + cell]);
      }
      const unsigned end = first + tile_cells();
      if (!kResident && end < cells() && end % kRowStripCells != 0) return;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        for (int distance = 1; distance < kRunningSums; distance *= 2)
          lanes[i] += __shfl_xor_sync(kAllLanes, lanes[i], distance);
        row[i] += lanes[i];
        lanes[i] = 0.0;
      }
    });
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      totals[i] = __shfl_sync(kAllLanes, row[i], 0);
      totals[2 + i] = __shfl_sync(kAllLanes, row[i], kRunningSums);
    }
  }

 private:
  __device__ unsigned cells() const {
    return static_cast<unsigned>(task_.search.piece.grid.cells_per_row);
  }
  __device__ static unsigned tile_cells() {
    return (kResident ? blockDim.x : kTiledThreads) / kQuad;
  }

  template <class Body>
  __device__ void for_each_tile(const Body& body) const {
    if constexpr (kResident) {
      body(0u);
    } else {
      for (unsigned first = 0; first < cells(); first += tile_cells()) body(first);
    }
  }

  // One barrier a use: when a buffer's turn comes again, all threads have passed the barrier in between.
  __device__ float* next_buffer() {
    turn_ ^= 1;
    return shared_ + turn_ * kBuffer;
  }

  __device__ float load(unsigned first) {
    return cell_.load(task_.search.piece.dtype, weights_, task_.search.piece.grid.columns,
                      std::uint64_t{first + threadIdx.x / kQuad} * kSegment);
  }

  const RowTask& task_;
  float* shared_;
  int turn_ = 0;
  const std::byte* weights_ = nullptr;
  float normalizer_ = 1.0f;
  RowCell cell_;
};

// A block a row, of blockDim.x / 4 cells where it is resident.
template <bool kResident>
__global__ __launch_bounds__(kResident ? kMostThreads : kTiledThreads,
                             kResident ? 1 : 2) void search_long_rows(RowTask task) {
  AFP_SHARED(float, shared, LongRow<kResident>::kSharedFloats);
  LongRow<kResident> weights(task, shared);
  const std::uint64_t row = task.taken_row(blockIdx.x);
  if (row >= task.rows) return;
  const RowUnit unit(task, weights.begin(row));
  weights.normalize_by(unit.normalizer());
  double totals[RowCell::kQuantities];
  weights.totals([](RowCell& cell) { return cell.signal(); }, totals);
  if (threadIdx.x == 0) unit.store_signal(task, row, totals[0]);
  for (int c = 0; c < task.search.count; ++c) {
    const BlockCodec& codec = task.search.candidates[c];
    RowScan scan(codec, task.tensor_scale(c), unit.absmax, unit.exponent);
    for (int f = 0; f < codec.format_count; ++f) {
      scan.begin(f);
      while (!scan.done()) {
        weights.totals([&](RowCell& cell) { return cell.costs(scan); }, totals);
        const double errors[] = {totals[0], totals[1], totals[2]};
        scan.take(errors, totals[RowCell::kClipped]);
      }
    }
    // (The row anew: no register holds it meanwhile.)
    if (threadIdx.x == 0) unit.store(task, task.taken_row(blockIdx.x), c, scan);
  }
}

// --- The rows of a strip ---

constexpr int kStripsABlock = 4;

// A warp a candidate and strip: rows are read side by side, and added from left to right.
__global__ __launch_bounds__(kStripsABlock* kWarp) void add_rows(RowTask task, std::uint64_t rows_per_strip,
                                                                 std::uint64_t strips) {
  const std::uint64_t strip = std::uint64_t{blockIdx.x} * kStripsABlock + threadIdx.x / kWarp;
  if (strip >= strips) return;
  const unsigned lane = threadIdx.x % kWarp;
  const std::uint64_t begin = strip * rows_per_strip;
  const std::uint64_t end = begin + rows_per_strip < task.rows ? begin + rows_per_strip : task.rows;
  const std::uint64_t end_group = task.group_of(end - 1) + 1;
  StripSums sums;
  for (std::uint64_t group = task.group_of(begin); group < end_group; group += kWarp) {
    const std::uint64_t row = group + lane < end_group ? task.taken_row(group + lane) : task.rows;
    StripSums own;  // of a row that is not taken 0
    if (row >= begin && row < end) own = task.search.row_sums[task.place(row, static_cast<int>(blockIdx.y))];
    const int count = end_group - group < kWarp ? static_cast<int>(end_group - group) : kWarp;
    for (int i = 0; i < count; ++i) {
      sums.error += __shfl_sync(kAllLanes, own.error, i);
      sums.signal += __shfl_sync(kAllLanes, own.signal, i);
    }
  }
  if (lane == 0) task.search.sums[blockIdx.y * strips + strip] = sums;
}

// A launch has fewer than 2^31 blocks: of rows of several cells that is more than any device holds.
unsigned blocks_for(std::uint64_t items, int per_block) {
  return static_cast<unsigned>(ceil_div(items, static_cast<std::uint64_t>(per_block)));
}

cudaError_t search(const RowTask& task, cudaStream_t stream) {
  const std::uint64_t columns = task.search.piece.grid.columns;
  if (columns <= kWarpRow) {
    const int lanes = columns <= kWarpRow / 4 ? kWarp / 4 : columns <= kWarpRow / 2 ? kWarp / 2 : kWarp;
    return launch(search_short_rows, blocks_for(task.groups, kShortThreads / lanes), kShortThreads, 0, stream,
                  task, lanes);
  }
  const std::uint64_t cells = task.search.piece.grid.cells_per_row;
  if (cells > kMostTileCells)
    return launch(search_long_rows<false>, blocks_for(task.groups, 1), kTiledThreads, 0, stream, task);
  const unsigned warps = static_cast<unsigned>(ceil_div(cells, kWarpCells));
  return launch(search_long_rows<true>, blocks_for(task.groups, 1), warps * kWarp, 0, stream, task);
}

}  // namespace

cudaError_t search_rows(const SearchRows& task, cudaStream_t stream) {
  if (task.piece.cells.count == 0 || task.count == 0) return cudaSuccess;
  const RowTask rows(task);
  const cudaError_t error = search(rows, stream);
  if (error != cudaSuccess || task.sums == nullptr) return error;
  const std::uint64_t strips = ceil_div(task.piece.cells.count, task.strip_cells);
  return launch(add_rows, dim3(blocks_for(strips, kStripsABlock), static_cast<unsigned>(task.count)),
                kStripsABlock * kWarp, 0, stream, rows, task.strip_cells / task.piece.grid.cells_per_row,
                strips);
}

}  // namespace afp::kernels
