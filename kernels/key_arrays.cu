// Laying out keys, and distributions of magnitudes.
//
// Ceiling: latency. A tensor is a block's: 256 or 512 KiB of counts are read, four a thread at once, and the
// tiles of 1,024 keys that hold weights (3 or 4 of 32 for weights of BF16, 6 or 7 of 64 for those of F32) are
// scanned; the others of 16 KiB pass at the rate of their loads. Many tensors fill the device.
#include "afp/cumulative_counts.hpp"
#include "afp/divergence.hpp"
#include "afp/key_table.hpp"
#include "afp/linear_histogram.hpp"
#include "kernels/atomics.hpp"
#include "kernels/block_scan.hpp"
#include "kernels/key_arrays.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kThreads = 1024;
constexpr unsigned kWarps = kThreads / kWarp;
static_assert(kWarps == kWarp && kSumLanes == kWarp);

struct Largest {
  __device__ std::uint32_t operator()(std::uint32_t a, std::uint32_t b) const { return a > b ? a : b; }
};
struct Sum {
  __device__ unsigned long long operator()(unsigned long long a, unsigned long long b) const { return a + b; }
};

__device__ inline void write_slot(const KeyArrays& keys, std::uint32_t slot, const KeySlot& values) {
  keys.base[slot] = values.base;
  keys.count_base[slot] = values.count_base;
  if (keys.mean == nullptr) return;
  keys.count_inside[slot] = values.count_inside;
  keys.mean[slot] = values.mean;
  keys.spread[slot] = values.spread;
}

__global__ void __launch_bounds__(kThreads) lay_out_kernel(LayOutKeys task) {
  AFP_SHARED(std::uint64_t, sums, kWarps);
  AFP_SHARED(std::uint32_t, occupied_groups, kWarps);
  AFP_SHARED(std::uint32_t, extremes, 2 * kWarps);
  AFP_SHARED(unsigned long long, totals, kWarps);
  const KeyTensor& tensor = task.tensors[blockIdx.x];
  const StatisticsTables& tables = tensor.tables;
  const KeyArrays& keys = tensor.keys;
  const unsigned long long* const all_counts = tables.count;
  std::uint64_t* const prefix = keys.prefix;
  const bool is_f32 = task.dtype == DType::F32;
  const std::uint32_t finite = finite_keys_of(task.dtype);
  const std::uint64_t zeros = is_f32 ? tables.count_base[0] : all_counts[0];

  std::uint64_t running = 0;               // weights of the tiles before, zeros left out
  std::uint32_t slots = 0;                 // of the tiles before
  std::uint32_t last = 0, first_down = 0;  // the last key with weights, and 2^16 less the first; 0: none
  constexpr unsigned kAhead = 4;
  for (std::uint32_t tile = 0; tile < keys_of(task.dtype); tile += kAhead * kThreads) {
    std::uint64_t counts[kAhead];
#pragma unroll
    for (unsigned a = 0; a < kAhead; ++a) counts[a] = all_counts[tile + a * kThreads + threadIdx.x];
#pragma unroll
    for (unsigned a = 0; a < kAhead; ++a) {
      const std::uint32_t key = tile + a * kThreads + threadIdx.x;
      const bool is_finite = key < finite;
      const std::uint64_t count = is_finite ? counts[a] : 0, stored = count - (key == 0 ? zeros : 0);
      if (stored != 0) {
        last = last < key + 1 ? key + 1 : last;
        const std::uint32_t down = (1u << 16) - key;
        first_down = first_down < down ? down : first_down;
      }
      if (!__syncthreads_or(count != 0)) {  // also parts the tiles' uses of shared memory
        if (is_finite && prefix != nullptr) {
          prefix[key] = running;
          if (is_f32) keys.on_base[key] = 0;
        }
        continue;
      }
      const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
      const bool is_occupied = __ballot_sync(kAllLanes, count != 0) != 0;
      if (lane == 0) occupied_groups[warp] = is_occupied ? 1 : 0;
      const BlockSum<std::uint64_t> before = block_exclusive_sum(stored, sums);
      const unsigned groups = __ballot_sync(kAllLanes, occupied_groups[lane] != 0);
      const std::uint64_t count_base = !is_f32 ? count : is_finite && count != 0 ? tables.count_base[key] : 0;
      if (is_finite && prefix != nullptr) {
        prefix[key] = running + before.before;
        if (is_f32) keys.on_base[key] = count_base - (key == 0 ? zeros : 0);
      }
      running += before.all;
      if (is_occupied) {
        const auto rank = static_cast<std::uint32_t>(__popc(groups & ((1u << warp) - 1)));
        const bool has_sums = is_f32 && count != count_base;
        write_slot(keys, slots + rank * kWarp + lane,
                   key_slot({key_base(task.dtype, key), key_step(task.dtype, key), count, count_base,
                             has_sums ? tables.sum_r[key] : 0, has_sums ? tables.sum_r2[key] : 0}));
      }
      slots += static_cast<std::uint32_t>(__popc(groups)) * kWarp;
    }
  }
  unsigned long long nonfinite = 0;
  for (std::uint32_t key = finite + threadIdx.x; key < keys_of(task.dtype); key += kThreads)
    nonfinite += all_counts[key];
  last = block_reduce(last, Largest(), 0u, extremes);
  first_down = block_reduce(first_down, Largest(), 0u, extremes + kWarps);
  nonfinite = block_reduce(nonfinite, Sum(), 0ull, totals);
  if (threadIdx.x != 0) return;

  KeyFacts facts;
  facts.slots = slots;
  facts.zeros = zeros;
  facts.weights = running + zeros;
  facts.nonfinite = nonfinite;
  if (is_f32)
    facts.absmax = bits_float(*tables.largest);
  else if (last != 0)
    facts.absmax = key_base(task.dtype, last - 1);
  if (zeros == 0 && first_down != 0) facts.smallest = key_base(task.dtype, (1u << 16) - first_down);
  facts.limit = facts.absmax;
  if (tensor.extent != nullptr) {
    if (is_f32 && facts.weights != 0) facts.smallest = bits_float(tensor.extent->smallest_magnitude);
    const float largest = bits_float(bits_of_ordered(tensor.extent->largest));
    if (tensor.limit_is_largest && largest > 0.0f) facts.limit = largest;
  }
  facts.within = facts.weights;
  if (prefix != nullptr) {
    prefix[finite] = running;
    const CumulativeCounts sums_below{task.dtype,    0,      finite,      facts.zeros,
                                      facts.weights, prefix, keys.on_base};
    if (!is_f32 && facts.limit < facts.absmax)
      facts.within = sums_below.below(static_cast<double>(facts.limit), true);
  }
  *keys.facts = facts;
}

constexpr unsigned kHistogramThreads = 256;

__global__ void __launch_bounds__(kHistogramThreads) key_histogram_kernel(KeyHistogram task) {
  const KeyHistogramTensor& tensor = task.tensors[blockIdx.y];
  const std::uint32_t key = blockIdx.x * kHistogramThreads + threadIdx.x;
  if (key >= finite_keys_of(task.dtype)) return;
  const unsigned long long count = tensor.count[key];
  if (count == 0) return;
  const HistogramTensor& histogram = tensor.histogram;
  const float magnitude = key_base(task.dtype, key);
  if (magnitude > histogram.edges[histogram.bins]) return;
  add_global(histogram.counts + linear_bin(histogram.edges, histogram.bins, histogram.per_bin, magnitude),
             count);
}

__global__ void __launch_bounds__(kThreads) magnitude_shares_kernel(MagnitudeSharesTask task) {
  AFP_SHARED(unsigned long long, totals, kWarps);
  AFP_SHARED(unsigned long long, total_of_all, 1);
  AFP_SHARED(std::uint64_t, sums, 2 * kWarps);
  const ShareTensor tensor = task.tensors[blockIdx.x];
  unsigned long long own = 0;
  for (std::uint32_t i = threadIdx.x; i < tensor.bins; i += kThreads) own += tensor.counts[i];
  own = block_reduce(own, Sum(), 0ull, totals);
  if (threadIdx.x == 0) total_of_all[0] = own;
  __syncthreads();
  const auto total = static_cast<double>(total_of_all[0]);
  std::uint64_t running = 0;
  unsigned parity = 0;
  for (std::uint32_t first = 0; first < tensor.bins; first += kThreads, parity ^= 1) {
    const std::uint32_t i = first + threadIdx.x;
    const std::uint64_t count = i < tensor.bins ? tensor.counts[i] : 0;
    const BlockSum<std::uint64_t> before = block_exclusive_sum(count, sums + parity * kWarps);
    if (i < tensor.bins) {
      tensor.points[i] = bin_point(tensor.edges[i], tensor.edges[i + 1], task.coordinate);
      tensor.shares[i] = static_cast<double>(running + before.before + count) / total;
    }
    running += before.all;
  }
}

}  // namespace

cudaError_t lay_out_keys(const LayOutKeys& task, cudaStream_t stream) {
  return launch(lay_out_kernel, dim3(task.count), dim3(kThreads), 0, stream, task);
}

// Tensors are a dimension of the grid that has 65,535 blocks at most.
cudaError_t key_histogram(const KeyHistogram& task, cudaStream_t stream) {
  constexpr std::uint32_t kMost = 65535;
  for (std::uint32_t first = 0; first < task.count; first += kMost) {
    const KeyHistogram part{task.dtype, task.tensors + first,
                            task.count - first < kMost ? task.count - first : kMost};
    const cudaError_t error = launch(key_histogram_kernel, dim3(kHalfKeys / kHistogramThreads, part.count),
                                     dim3(kHistogramThreads), 0, stream, part);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t magnitude_shares(const MagnitudeSharesTask& task, cudaStream_t stream) {
  return launch(magnitude_shares_kernel, dim3(task.count), dim3(kThreads), 0, stream, task);
}

}  // namespace afp::kernels
