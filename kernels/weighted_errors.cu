// Ceiling: double arithmetic, five operations and three conversions a weight (on sm_90 about 5 weights a
// clock and multiprocessor, which leaves memory half idle). A block takes a strip; four threads take a cell,
// one for each of its running sums, and 16 threads hold those of the strip.
#include "afp/cell_sum.hpp"
#include "kernels/code_space.hpp"
#include "kernels/device.hpp"
#include "kernels/weighted_errors.hpp"

namespace afp::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kSumsOfCell = 4;
constexpr int kCells = kThreads / kSumsOfCell;  // a block takes at a time; a multiple of the strip's sums
static_assert(kCells % kRunningSums == 0);

struct WeightedErrorsTask {
  BlockGrid grid;
  CellRange cells;
  std::uint64_t strip_cells;
  Divider by_row;  // cells of a row
  std::uint64_t first_weight, first_scale;
  const std::byte* weights;
  const std::uint8_t* scales;
  const float* importance;
  double* errors;
  BlockCodec codec;
  Rounding rounding[2];
};

// What the weights j, j + 4, ... of a cell are off by.
template <DType dtype>
__device__ double running_sum(const WeightedErrorsTask& task, std::uint64_t cell, std::uint64_t row,
                              std::uint64_t cell_of_row, int j) {
  const BlockGrid& grid = task.grid;
  const std::uint64_t column = cell_of_row * static_cast<std::uint64_t>(grid.cell_size);
  const std::uint64_t weight = row * grid.columns + column - task.first_weight;
  const std::uint64_t block = grid.block.kind == BlockKind::small ? cell
                              : grid.block.kind == BlockKind::row ? row
                                                                  : 0;
  const std::uint32_t byte = task.scales[block - task.first_scale];
  const bool is_second = task.codec.format_count == 2 && (byte & kUe4m3Alternative) != 0;
  const Rounding rounding = is_second ? task.rounding[1] : task.rounding[0];
  const float reciprocal = task.codec.reciprocal(byte);
  const double scale = task.codec.exact_scale(byte);
  const std::uint64_t left = grid.columns - column;
  const int count =
      left < static_cast<std::uint64_t>(grid.cell_size) ? static_cast<int>(left) : grid.cell_size;
  const float* const importance = task.importance + column;
  double sum = 0.0;
#pragma unroll 4
  for (; j < count; j += kSumsOfCell) {
    const float magnitude = fabsf(load_weight(dtype, task.weights, weight + static_cast<std::uint64_t>(j)));
    const float value = rounding.value(fminf(magnitude * reciprocal, rounding.max_value));
    const double difference = static_cast<double>(magnitude) - static_cast<double>(value) * scale;
    sum += static_cast<double>(importance[j]) * (difference * difference);
  }
  return sum;
}

template <DType dtype>
__global__ __launch_bounds__(kThreads) void weighted_errors_kernel(const WeightedErrorsTask task) {
  AFP_SHARED(double, terms, 2 * kCells);  // of the cells in hand and of those before
  AFP_SHARED(double, lanes, kRunningSums);
  const int thread = static_cast<int>(threadIdx.x), slot = thread / kSumsOfCell;
  const std::uint64_t first = std::uint64_t{blockIdx.x} * task.strip_cells;
  const std::uint64_t left = task.cells.count - first;
  const std::uint64_t count = left < task.strip_cells ? left : task.strip_cells;

  std::uint64_t cell = task.cells.first + first + static_cast<std::uint64_t>(slot), cell_of_row;
  std::uint64_t row = task.by_row.divide(cell, cell_of_row);
  double strip_sum = 0.0;  // of lane `thread`
  int buffer = 0;
  for (std::uint64_t done = 0; done < count; done += kCells, buffer = kCells - buffer) {
    double sum = 0.0;
    if (done + static_cast<std::uint64_t>(slot) < count)
      sum = running_sum<dtype>(task, cell, row, cell_of_row, thread % kSumsOfCell);
    sum += __shfl_xor_sync(kAllLanes, sum, 1);
    sum += __shfl_xor_sync(kAllLanes, sum, 2);
    if (thread % kSumsOfCell == 0) terms[buffer + slot] = sum;
    __syncthreads();
    if (thread < kRunningSums)  // terms of cells that are not there are zero
      for (int i = thread; i < kCells; i += kRunningSums) strip_sum += terms[buffer + i];
    cell += kCells;
    for (cell_of_row += kCells; cell_of_row >= task.grid.cells_per_row; ++row)
      cell_of_row -= task.grid.cells_per_row;
  }
  if (thread < kRunningSums) lanes[thread] = strip_sum;
  __syncthreads();
  if (thread == 0) {
    double sums[kRunningSums];
    for (int i = 0; i < kRunningSums; ++i) sums[i] = lanes[i];
    task.errors[blockIdx.x] = sum_of_running(sums);
  }
}

template <DType dtype>
cudaError_t launch_weighted_errors(const WeightedErrorsTask& task, cudaStream_t stream) {
  if (task.cells.count == 0) return cudaSuccess;
  const dim3 grid(static_cast<unsigned>(ceil_div(task.cells.count, task.strip_cells)));
  return launch(weighted_errors_kernel<dtype>, grid, dim3(kThreads), 0, stream, task);
}

}  // namespace

cudaError_t weighted_errors(const WeightedErrors& request, cudaStream_t stream) {
  const DevicePiece& piece = request.piece;
  const BlockCodec& codec = request.codec;
  const bool any = piece.cells.count != 0;
  WeightedErrorsTask task{piece.grid,
                          piece.cells,
                          request.strip_cells,
                          Divider::of(piece.grid.cells_per_row),
                          any ? piece.first_weight() : 0,
                          any ? piece.grid.scale_index(piece.cells.first) : 0,
                          piece.weights,
                          request.scales,
                          request.importance,
                          request.errors,
                          codec,
                          {}};
  for (int i = 0; i < codec.format_count; ++i) task.rounding[i] = Rounding(codec.formats[i]);
  switch (piece.dtype) {
    case DType::BF16:
      return launch_weighted_errors<DType::BF16>(task, stream);
    case DType::F16:
      return launch_weighted_errors<DType::F16>(task, stream);
    case DType::F32:
      return launch_weighted_errors<DType::F32>(task, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace afp::kernels
