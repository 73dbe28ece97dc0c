// A strip a block of threads, its cells in registers (kernels/held_cell.hpp), all candidates over each. What
// they cost goes through shared memory to the threads that have the running sums.
//
// Ceiling: instructions; a weight is read once. Those of a scale that is tried are as in search_cells.cu.
// Under e8m0 ten of the 28 Formats of N = 2 .. 8 have E >= 4, and where all blocks of a warp lie among their
// normal values four sums serve these (RelativeErrors); the others try about two scales each: in all some 360
// instructions a weight for the 28. Under ue4m3, Formats have no more in common than quotients, which are one
// instruction of six or more: each is scanned by itself.
#include "afp/block_sample.hpp"
#include "afp/cell_sum.hpp"
#include "kernels/cost_cells.hpp"
#include "kernels/device.hpp"
#include "kernels/held_cell.hpp"
#include "kernels/strip_cells.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kBlockThreads = 256;

// From here on a Format has values so far below its largest that most blocks have none of its subnormal ones.
constexpr int kWideExponentBits = 4;
constexpr int kWideMantissas = kMaxBits - kWideExponentBits;  // M of wide Formats is 0 .. 3
constexpr int kNarrow = kWideMantissas;

// The cells of a strip that are taken, in order: those of every unit, or of a sample of the units.
class TakenCells {
 public:
  __device__ TakenCells(const CostCells& task, std::uint64_t first, unsigned cells)
      : cells_(cells),
        one_in_(task.sample),
        first_unit_(first / kSampleCells),
        first_group_(first_unit_ / one_in_),
        units_(ceil_div(task.piece.grid.cells(), kSampleCells)) {
    const std::uint64_t end = ceil_div(first + cells, kSampleCells);
    slots_ =
        one_in_ == 1 ? cells : static_cast<unsigned>(ceil_div(end, one_in_) - first_group_) * kSampleCells;
  }

  // Slots are for cells in order; some are empty.
  __device__ unsigned slots() const { return slots_; }
  static constexpr unsigned kNone = 0xFFFF'FFFF;
  __device__ unsigned cell_of(unsigned slot) const {
    std::uint64_t cell = slot;
    if (one_in_ != 1) {
      const std::uint64_t unit = sampled_unit(first_group_ + slot / kSampleCells, one_in_, units_);
      if (unit < first_unit_) return kNone;
      cell = (unit - first_unit_) * kSampleCells + slot % kSampleCells;
    }
    return cell < cells_ ? static_cast<unsigned>(cell) : kNone;
  }

 private:
  unsigned cells_;
  unsigned one_in_;
  std::uint64_t first_unit_, first_group_, units_;
  unsigned slots_;
};

// Errors of magnitudes rounded to M bits of their own, for the M of wide Formats under e8m0: what each of
// these costs a block that has none of its subnormal values and does not clip. No scale can do better.
struct RelativeErrors {
  float smallest;  // magnitude of the thread's but zero
  float errors[kWideMantissas];
};

template <int kWeights, int kThreads>
__device__ RelativeErrors relative_errors(const HeldCell<kWeights, kThreads>& cell, unsigned mantissas) {
  RelativeErrors result{};
  if (mantissas == 0) return result;
  result.smallest = cell.smallest();
#pragma unroll
  for (int m = 0; m < kWideMantissas; ++m)
    if ((mantissas >> m & 1) != 0) result.errors[m] = cell.relative_error(exp2_int(23 - m));
  return result;
}

__device__ bool is_wide(const BlockCodec& codec) {
  return codec.is_e8m0() && codec.formats[0].exponent_bits >= kWideExponentBits;
}

// Whether, for all blocks of the warp, the relative error is the least of all scales.
template <int kWeights, int kThreads>
__device__ bool is_relative(const HeldCell<kWeights, kThreads>& cell, const BlockFacts& facts,
                            const ScanFormat& format, float smallest) {
  const int x = e8m0_first_exponent(format.exponents, facts.absmax) - facts.exponent;
  const float scale = bits_float(static_cast<std::uint32_t>(x + 127) << 23);
  const float least = scale * format.rounding.min_normal;
  return !cell.any(facts.largest > scale * format.rounding.max_value || least > smallest);
}

template <int kWeights, int kThreads>
__global__ __launch_bounds__(kBlockThreads, 2) void cost_strip(const CostCells task) {
  AFP_DYNAMIC_SHARED(unsigned char, shared);
  AFP_SHARED(ScanCodec, codecs, kMostCostCandidates);
  AFP_SHARED(std::uint8_t, wide, kMostCostCandidates);  // M of wide Formats, or kNarrow
  const unsigned at_once = blockDim.x / kThreads;       // cells
  const unsigned stride = at_once + kRunningSums;  // between candidates: the halves of a warp in other banks
  const auto count = static_cast<unsigned>(task.count);
  // [candidate, and last the signal][running sum], [cell], [candidate, and last the signal][cell]
  auto* const sums = reinterpret_cast<double*>(shared);
  double* const units = sums + (count + 1) * kRunningSums;
  auto* const costs = reinterpret_cast<float*>(units + at_once);

  const DevicePiece& piece = task.piece;
  for (unsigned i = threadIdx.x; i < (count + 1) * kRunningSums; i += blockDim.x) sums[i] = 0.0;
  if (threadIdx.x < count) {
    const BlockCodec& codec = task.candidates[threadIdx.x];
    codecs[threadIdx.x] = ScanCodec(codec);
    wide[threadIdx.x] = static_cast<std::uint8_t>(is_wide(codec) ? codec.formats[0].mantissa_bits : kNarrow);
  }
  __syncthreads();
  unsigned mantissas = 0;  // of wide Formats, a bit each
  for (unsigned c = 0; c < count; ++c)
    if (wide[c] != kNarrow) mantissas |= 1u << wide[c];
  const int lowest = lowest_block_exponent(task.candidates[0].scale, task.candidates[0].tensor_scale);
  const std::uint64_t first = blockIdx.x * task.strip_cells;
  const std::uint64_t left = piece.cells.count - first;
  const auto cells = static_cast<unsigned>(left < task.strip_cells ? left : task.strip_cells);
  const StripPlaces places(piece, piece.cells.first + first);
  const TakenCells taken(task, piece.cells.first + first, cells);
  const unsigned slot = threadIdx.x / kThreads;
  const int thread = static_cast<int>(threadIdx.x % kThreads);

  for (unsigned begin = 0; begin < taken.slots(); begin += at_once) {
    const unsigned index = taken.cell_of(begin + slot);
    StripPlaces::Cell place{nullptr, 0};
    if (index != TakenCells::kNone) place = places.cell(index);
    float weights[kWeights];
    load_cell<kWeights, kThreads>(piece.dtype, place.weights, place.count, thread, weights);
    HeldCell<kWeights, kThreads> cell;
    const BlockFacts facts = cell.set(weights, lowest);
    const float signal = cell.signal();
    if (thread == 0) {
      units[slot] = square_unit(facts.exponent);
      costs[count * stride + slot] = signal;
    }
    const RelativeErrors relative = relative_errors(cell, mantissas);
    for (unsigned c = 0; c < count; ++c) {
      const ScanCodec& codec = codecs[c];
      float cost;
      const int m = static_cast<int>(wide[c]);
      if (m != kNarrow && is_relative(cell, facts, codec.first, relative.smallest)) {
        cost = relative.errors[0];
#pragma unroll
        for (int i = 1; i < kWideMantissas; ++i) cost = m == i ? relative.errors[i] : cost;
      } else {
        cost = BlockScan<HeldCell<kWeights, kThreads>>(codec, facts, task.effort, cell).best().cost;
      }
      if (thread == 0) costs[c * stride + slot] = cost;
    }
    __syncthreads();
    // Each thread has running sums of its own.
    for (unsigned i = threadIdx.x; i < (count + 1) * kRunningSums; i += blockDim.x) {
      const unsigned row = i / kRunningSums;
      double sum = sums[i];
#pragma unroll 4
      for (unsigned s = i % kRunningSums; s < at_once; s += kRunningSums)
        sum += cell_term(costs[row * stride + s], units[s]);
      sums[i] = sum;
    }
    __syncthreads();
  }
  if (threadIdx.x <= count) {
    double running[kRunningSums];
    for (int i = 0; i < kRunningSums; ++i) running[i] = sums[threadIdx.x * kRunningSums + i];
    sums[threadIdx.x * kRunningSums] = sum_of_running(running);
  }
  __syncthreads();
  if (threadIdx.x < count)
    task.sums[static_cast<std::size_t>(threadIdx.x) * gridDim.x + blockIdx.x] = {
        sums[threadIdx.x * kRunningSums], sums[count * kRunningSums]};
}

// Threads that the taken cells of a strip keep busy: few of a sample.
unsigned threads_for(const CostCells& task, int threads_a_cell) {
  const std::uint64_t units = ceil_div(ceil_div(task.strip_cells, kSampleCells), task.sample);
  const std::uint64_t wanted = units * kSampleCells * static_cast<unsigned>(threads_a_cell);
  return wanted <= 64 ? 64 : wanted <= 128 ? 128 : kBlockThreads;
}

}  // namespace

cudaError_t cost_cells(const CostCells& task, cudaStream_t stream) {
  const auto start = [&](void (*kernel)(CostCells), int threads_a_cell) {
    const unsigned threads = threads_for(task, threads_a_cell);
    const std::size_t at_once = threads / static_cast<unsigned>(threads_a_cell);
    const std::size_t rows = static_cast<std::size_t>(task.count) + 1;
    const std::size_t shared = rows * kRunningSums * sizeof(double) + at_once * sizeof(double) +
                               rows * (at_once + kRunningSums) * sizeof(float);
    const auto strips = static_cast<unsigned>(ceil_div(task.piece.cells.count, task.strip_cells));
    return launch(kernel, dim3(strips), dim3(threads), shared, stream, task);
  };
  switch (held_weights(task.piece.grid)) {
    case 16:
      return start(cost_strip<16, 1>, 1);
    case 32:
      return start(cost_strip<32, 1>, 1);
    case 64:
      return start(cost_strip<32, 2>, 2);
    default:
      return start(cost_strip<32, 4>, 4);
  }
}

}  // namespace afp::kernels
