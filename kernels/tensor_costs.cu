// Costs of (tensor, candidate): a block each, of four warps.
//
// Scales: a warp sums the errors of all keys under one scale, a lane its 32nd part, while the other warps do
// so for the next scales down; the scan then takes what it would have asked for. A key is 24 instructions of
// BF16 and F16, 7 of them in double precision and 2 conversions to it; of F32 50, 13 and 3.
// Divergence: a level a thread; then a bin a thread, eight groups of 32 at a time, whose terms the first warp
// adds up in order. A bin is some 250 instructions, 120 of them in double precision.
//
// Ceiling: double precision, two instructions of a warp a clock and multiprocessor, conversions half of one.
// The 28 candidates of e8m0 of a tensor whose weights span 24 binades (96 groups of keys of BF16, 192 of F32;
// four scales each) take 610 clocks of 132 multiprocessors, of F32 2,000; their divergences over 4,000 bins
// 1,600 more: 0.4 to 2.1 us a tensor in a batch. A single tensor's take as long as one block: a turn of the
// scan is a chain of 24 (F32: 96) times memory's latency, a turn of 256 bins one of about 1,000 clocks.
#include "afp/divergence.hpp"
#include "afp/key_table.hpp"
#include "afp/level_shares.hpp"
#include "afp/tensor_scale_scan.hpp"
#include "kernels/device.hpp"
#include "kernels/tensor_costs.hpp"

namespace afp::kernels {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp;
static_assert(kSumLanes == kWarp && kThreads == kMostLevels);

__device__ inline int warp_index() {
  return static_cast<int>(threadIdx.x) / kWarp;
}
__device__ inline int lane_index() {
  return static_cast<int>(threadIdx.x) % kWarp;
}

// LaneSum::total() of a warp's lanes: neighbours first, and a + b is b + a.
__device__ inline double lane_total(double lane) {
  for (int width = 1; width < kWarp; width *= 2) lane += __shfl_xor_sync(kAllLanes, lane, width);
  return lane;
}

// --- The scan of scales
// --------------------------------------------------------------------------------------

template <bool kHasInside>
__device__ KeyErrors warp_errors(const KeySlots& slots, const KeyScale& scale) {
  double total = 0.0, clipped = 0.0;
  for (std::size_t i = static_cast<std::size_t>(lane_index()); i < slots.count; i += kWarp) {
    const double error = slot_error<kHasInside>(slots, i, scale);
    total += error;
    if (static_cast<double>(slots.base[i]) >= scale.limit) clipped += error;
  }
  return {lane_total(total), lane_total(clipped)};
}

// Of the whole block; every thread gets the result. `errors` has room for two numbers a warp, twice.
__device__ TensorScale choose_scale(const KeySlots& slots, bool has_inside, const BlockCodec& codec,
                                    float absmax, double* errors) {
  TensorScaleScan scan(codec, absmax);
  for (unsigned turn = 0; scan.left() > 0; turn ^= 1) {
    double* const found = errors + turn * 2 * kWarps;
    const int scales = scan.left() < kWarps ? scan.left() : kWarps;
    if (warp_index() < scales) {
      const KeyScale scale(scan.format(), scan.value(warp_index()));
      const KeyErrors sums = has_inside ? warp_errors<true>(slots, scale) : warp_errors<false>(slots, scale);
      if (lane_index() == 0) {
        found[2 * warp_index()] = sums.total;
        found[2 * warp_index() + 1] = sums.clipped;
      }
    }
    __syncthreads();
    const int format = scan.format_index();
    for (int s = 0; s < scales && scan.format_index() == format; ++s)
      scan.take({found[2 * s], found[2 * s + 1]});
  }
  return scan.best();
}

// --- The divergence
// ------------------------------------------------------------------------------------------

// Rounded magnitudes: levels, shares and the slopes to the next level, in shared memory.
struct Levels {
  const double* levels;
  const double* shares;
  const double* slopes;
  int count;
};

// One level a thread: what follows once levels and shares are written. Ends with a barrier.
__device__ void write_slope(const double* levels, const double* shares, int count, double* slopes) {
  __syncthreads();
  const int i = static_cast<int>(threadIdx.x);
  if (i < count)
    slopes[i] = i + 1 < count ? share_slope(levels[i], shares[i], levels[i + 1], shares[i + 1]) : 0.0;
  __syncthreads();
}

constexpr int kGroupsAWarp = 2;
constexpr std::uint32_t kBinsATurn = kGroupsAWarp * kThreads;

// divergence() of the whole block; thread 0 gets the result. `terms` has room for kBinsATurn numbers, twice;
// `counts` for one a warp.
__device__ double block_divergence(const double* points, const double* shares, std::uint32_t bins,
                                   const Levels& rounded, double* terms, std::uint32_t* counts) {
  double sum = 0.0;
  std::uint32_t count = 0;
  unsigned turn = 0;
  for (std::uint32_t first = 0; first < bins; first += kBinsATurn, turn ^= 1) {
    double* const found = terms + turn * kBinsATurn;
#pragma unroll
    for (int g = 0; g < kGroupsAWarp; ++g) {
      const std::uint32_t at = static_cast<std::uint32_t>(g) * kThreads + threadIdx.x, i = first + at;
      double term = 0.0;  // of a bin that does not count: adding it changes nothing
      if (i < bins) {
        const double x = points[i], p = shares[i];
        const int level = level_at(rounded.levels, rounded.count, x);
        const double q =
            interpolated_share(x, rounded.levels[level], rounded.shares[level], rounded.slopes[level]);
        if (divergence_counts(p, q)) {
          term = divergence_term(p, q);
          ++count;
        }
      }
      found[at] = term;
    }
    __syncthreads();
    if (warp_index() == 0)
      for (std::uint32_t at = threadIdx.x; at < kBinsATurn; at += kWarp) sum += found[at];
  }
  const auto add = [](std::uint32_t a, std::uint32_t b) { return a + b; };
  count = block_reduce(count, add, 0u, counts);
  const double total = lane_total(sum);
  return count == 0 ? 0.0 : total / static_cast<double>(count);
}

// --- Kernels
// -------------------------------------------------------------------------------------------------

__global__ void __launch_bounds__(kThreads) tensor_costs_kernel(TensorCosts task) {
  AFP_SHARED(double, errors, 4 * kWarps);
  AFP_SHARED(double, levels, kMostLevels);
  AFP_SHARED(double, level_shares, kMostLevels);
  AFP_SHARED(double, slopes, kMostLevels);
  AFP_SHARED(double, terms, 2 * kBinsATurn);
  AFP_SHARED(std::uint32_t, counts, kWarps);
  AFP_SHARED(int, level_count, 1);
  const CostTensor& tensor = task.tensors[blockIdx.x / task.candidate_count];
  const KeyArrays& keys = tensor.keys;
  const float absmax = keys.facts->absmax;
  BlockCodec codec = task.candidates[blockIdx.x % task.candidate_count];
  if (absmax != 0.0f && !keys_decide(task.dtype, codec.scale)) {
    if (threadIdx.x == 0) {
      const double infinity = std::numeric_limits<double>::infinity();
      task.costs[blockIdx.x] = infinity;
      task.scales[blockIdx.x] = {0, 1.0f, infinity};
    }
    return;
  }
  codec = tensor_block_codec(codec, absmax);
  const KeySlots slots{keys.facts->slots, keys.base, keys.count_base,
                       keys.count_inside, keys.mean, keys.spread};
  const TensorScale best = choose_scale(slots, task.dtype == DType::F32, codec, absmax, errors);
  double cost = best.squared_error;
  if (task.objective != Objective::mse) {
    const KeyFacts& facts = *keys.facts;
    double divergence = 0.0;
    if (tensor.bins != 0) {
      const CumulativeCounts below{
          task.dtype, 0, finite_keys_of(task.dtype), facts.zeros, facts.weights, keys.prefix, keys.on_base};
      const Format format = codec.format_of(best.byte);
      const int i = static_cast<int>(threadIdx.x);
      int count;
      if (task.objective == Objective::kl) {
        const float scale = codec.scale_value(best.byte);
        const auto code = static_cast<std::uint32_t>(i);
        count = static_cast<int>(format.max_magnitude()) + 1;
        if (i < count) {
          levels[i] = format_level(format, scale, code);
          level_shares[i] = format_share(below, format, scale, code);
        }
      } else {
        const SeedLevels seed(absmax, format.exponent_bits, format.mantissa_bits);
        count = seed.count();
        if (i < count) levels[i] = seed[i];
        __syncthreads();
        if (seed.need_rounding()) {
          if (i == 0) level_count[0] = SeedLevels::round(levels, count);
          __syncthreads();
          count = level_count[0];
        }
        if (i < count) level_shares[i] = seed_share(below, levels, count, i);
      }
      write_slope(levels, level_shares, count, slopes);
      divergence = block_divergence(tensor.points, tensor.shares, tensor.bins,
                                    {levels, level_shares, slopes, count}, terms, counts);
    }
    cost = static_cast<double>(facts.weights) * divergence;
  }
  if (threadIdx.x != 0) return;
  task.costs[blockIdx.x] = cost;
  task.scales[blockIdx.x] = best;
}

__global__ void __launch_bounds__(kThreads) compare_shares_kernel(CompareShares task) {
  AFP_SHARED(double, levels, kMostLevels);
  AFP_SHARED(double, level_shares, kMostLevels);
  AFP_SHARED(double, slopes, kMostLevels);
  AFP_SHARED(double, terms, 2 * kBinsATurn);
  AFP_SHARED(std::uint32_t, counts, kWarps);
  const std::uint32_t first = task.first_level[blockIdx.x];
  const int count = static_cast<int>(task.first_level[blockIdx.x + 1] - first);
  const int i = static_cast<int>(threadIdx.x);
  if (i < count) {
    levels[i] = task.levels[first + threadIdx.x];
    level_shares[i] = task.level_shares[first + threadIdx.x];
  }
  write_slope(levels, level_shares, count, slopes);
  const double divergence = block_divergence(task.points, task.shares, task.bins,
                                             {levels, level_shares, slopes, count}, terms, counts);
  if (threadIdx.x == 0) task.divergences[blockIdx.x] = divergence;
}

}  // namespace

cudaError_t tensor_costs(const TensorCosts& task, cudaStream_t stream) {
  return launch(tensor_costs_kernel, dim3(task.tensor_count * task.candidate_count), dim3(kThreads), 0,
                stream, task);
}

cudaError_t compare_shares(const CompareShares& task, cudaStream_t stream) {
  return launch(compare_shares_kernel, dim3(task.count), dim3(kThreads), 0, stream, task);
}

}  // namespace afp::kernels
