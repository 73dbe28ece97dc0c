// Statistics of F32 weights: four integer sums a key.
//
// Ceiling: shared memory atomics, one a weight born in bf16, four a weight with low bits (4 bytes to read).
// The block's table holds a window of 32 binades, placed where most of a sample of the run lies; what lies
// outside goes to global memory: slow, exact, rare. Sums are of 32 bits (64-bit ones are loops on shared
// memory): a run has 2^17 weights at most, r < 2^15, and r^2 is added up in two parts of 15 bits.
#include "kernels/atomics.hpp"
#include "kernels/chunk_runs.hpp"
#include "kernels/key_window.hpp"
#include "kernels/statistics.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kThreads = 1024;
constexpr unsigned kKeysPerBinade = 256, kBinades = 32;
constexpr unsigned kWindow = kKeysPerBinade * kBinades;
constexpr int kRestBits = 15;  // r
constexpr unsigned kRestMask = (1u << kRestBits) - 1;
constexpr unsigned kInfinity = 0x7F800000u;
constexpr std::uint64_t kMostChunks = 4;
static_assert(kMostChunks * kStatisticsChunk * kRestMask <= 0xFFFFFFFFu);

// The sums of a key, one table after the other.
enum Sum : unsigned { kAtBase, kAbove, kRest, kSquareLow, kSquareHigh, kSums };
constexpr unsigned kSumBytes = 4 * kWindow;
constexpr unsigned kTableBytes = kSums * kSumBytes;  // 160 KiB: A100 has 163

// Keys of weights born in types of few mantissa bits are multiples of a power of two: spreads them over the
// banks. Its own inverse.
__device__ inline unsigned slot_of(unsigned index) {
  return index ^ (index >> 5 & 31);
}

struct Gatherer {
  SharedTable table;
  unsigned first_key;
  StatisticsTables tables;
  unsigned zeros = 0, largest = 0;

  // `weights` equal ones, 1 or 4.
  __device__ void add(unsigned bits, unsigned weights) {
    bits &= 0x7FFFFFFFu;
    if (bits == 0) {
      zeros += weights;
      return;
    }
    if (bits < kInfinity && bits > largest) largest = bits;
    const unsigned key = bits >> kRestBits, rest = bits & kRestMask, index = key - first_key;
    if (index >= kWindow) return add_outside(key, rest, weights);
    const unsigned offset = 4 * slot_of(index);
    if (rest == 0) {
      table.add(offset + kAtBase * kSumBytes, weights);
      return;
    }
    const unsigned square = rest * rest;
    table.add(offset + kAbove * kSumBytes, weights);
    table.add(offset + kRest * kSumBytes, rest * weights);
    table.add(offset + kSquareLow * kSumBytes, (square & kRestMask) * weights);
    table.add(offset + kSquareHigh * kSumBytes, (square >> kRestBits) * weights);
  }

  __device__ void add_outside(unsigned key, unsigned rest, unsigned weights) const {
    add_global(&tables.count[key], weights);
    if (rest == 0) {
      add_global(&tables.count_base[key], weights);
      return;
    }
    add_global(&tables.sum_r[key], rest * weights);
    add_global(&tables.sum_r2[key], std::uint64_t{rest * rest} * weights);
  }

  // Adds what is in shared memory to the tensor's tables, and leaves it empty.
  __device__ void flush(unsigned* words) const {
    for (unsigned slot = threadIdx.x; slot < kWindow; slot += kThreads) {
      unsigned sums[kSums];
      for (unsigned i = 0; i < kSums; ++i) {
        sums[i] = words[i * kWindow + slot];
        words[i * kWindow + slot] = 0;
      }
      const unsigned key = first_key + slot_of(slot);
      if (sums[kAtBase] + sums[kAbove] == 0) continue;
      add_global(&tables.count[key], sums[kAtBase] + sums[kAbove]);
      if (sums[kAtBase] != 0) add_global(&tables.count_base[key], sums[kAtBase]);
      if (sums[kAbove] == 0) continue;
      add_global(&tables.sum_r[key], sums[kRest]);
      add_global(&tables.sum_r2[key], (std::uint64_t{sums[kSquareHigh]} << kRestBits) + sums[kSquareLow]);
    }
  }

  // What the threads have in registers.
  __device__ void flush_registers() const {
    const unsigned warp_zeros = __reduce_add_sync(kAllLanes, zeros);
    const unsigned warp_largest = __reduce_max_sync(kAllLanes, largest);
    if (threadIdx.x % kWarp != 0) return;
    if (warp_zeros != 0) {
      add_global(&tables.count[0], warp_zeros);
      add_global(&tables.count_base[0], warp_zeros);
    }
    if (warp_largest != 0) atomicMax(tables.largest, warp_largest);
  }
};

__global__ void __launch_bounds__(kThreads, 1) f32_kernel(const StatisticsTask task) {
  AFP_DYNAMIC_SHARED(unsigned, words);
  AFP_SHARED(WindowScratch, scratch, 1);
  for (unsigned i = threadIdx.x; i < kTableBytes / 4; i += kThreads) words[i] = 0;
  for_each_run(task.work, task.tensors, task.chunks, kStatisticsChunk, kMostChunks,
               [&](const StatisticsTensor& tensor, std::uint64_t first, std::uint64_t count) {
                 const std::byte* const weights = tensor.weights + 4 * first;
                 const unsigned sample =
                     reinterpret_cast<const unsigned*>(weights)[threadIdx.x * count / kThreads] & 0x7FFFFFFFu;
                 const bool is_number = sample != 0 && sample < kInfinity;
                 // Its barriers also separate this run from the flush before.
                 const int exponent = best_window(is_number ? static_cast<int>(sample >> 23) : -1,
                                                  static_cast<int>(kBinades), scratch[0]);
                 Gatherer gatherer{SharedTable(words, kTableBytes),
                                   static_cast<unsigned>(exponent) * kKeysPerBinade, tensor.tables};
                 const VectorSpan span(weights, count, 4);
                 for_vectors<4>(span.vectors, static_cast<unsigned>(span.count), threadIdx.x, kThreads,
                                [&](const uint4& vector) {
                                  const unsigned differences =
                                      (vector.x ^ vector.y) | (vector.x ^ vector.z) | (vector.x ^ vector.w);
                                  if (differences == 0) return gatherer.add(vector.x, 4);
                                  gatherer.add(vector.x, 1);
                                  gatherer.add(vector.y, 1);
                                  gatherer.add(vector.z, 1);
                                  gatherer.add(vector.w, 1);
                                });
                 for_edges<std::uint32_t>(span, [&](unsigned bits) { gatherer.add(bits, 1); });
                 gatherer.flush_registers();
                 __syncthreads();
                 gatherer.flush(words);
               });
}

}  // namespace

cudaError_t statistics_f32(const StatisticsTask& task, cudaStream_t stream) {
  if (const cudaError_t error = allow_shared(f32_kernel, kTableBytes); error != cudaSuccess) return error;
  return launch(f32_kernel, persistent_blocks(task.chunks, task.multiprocessors), kThreads, kTableBytes,
                stream, task);
}

}  // namespace afp::kernels
