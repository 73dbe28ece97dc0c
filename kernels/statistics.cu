// Statistics of BF16 weights: a count a key.
//
// Ceiling: memory, 2 bytes a weight. What stands in the way is shared memory: with one table a block, the 32
// lanes of an atomic addition meet in the same bank three to four times on gaussian weights, in all lanes on
// weights born in fp8. Here every lane has a table of its own in its own bank: one pass, whatever the data.
// That holds for a window of 20 binades, counters of 16 bits: key k of the window is half k % 2 of word
// (k / 2) * 32 + lane. The window is placed where most of a sample of the run lies. Zeros are counted in
// registers, other weights outside it in the table in global memory: slow, exact, rare.
#include "kernels/atomics.hpp"
#include "kernels/chunk_runs.hpp"
#include "kernels/key_window.hpp"
#include "kernels/statistics.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kThreads = 1024;
constexpr unsigned kKeysPerBinade = 128, kBinades = 20;
constexpr unsigned kRows = kKeysPerBinade * kBinades / 2;
constexpr unsigned kRowBytes = 4 * kWarp;
constexpr unsigned kTableBytes = kRows * kRowBytes;  // 160 KiB: A100 has 163
constexpr unsigned kSharedBytes = kTableBytes + kRowBytes;
// A lane counts 1024 weights of each chunk, and a vector more where they are not aligned: 16 bits hold them.
constexpr unsigned kMostChunks = 60;
static_assert(kMostChunks * (kStatisticsChunk / kWarp) + 8 < 0x10000);

// A window as a lane sees it.
struct LaneWindow {
  SharedTable table;
  unsigned origin;  // where in the table key 0 would be, modulo 2^32
  unsigned spare;   // the lane's word of the spare row behind the table
  bool has_zeros;   // key 0 is within the window

  __device__ LaneWindow(unsigned* words, unsigned first_key)
      : table(words, kTableBytes),
        origin(4 * (threadIdx.x % kWarp) - first_key / 2 * kRowBytes),
        spare(kTableBytes + 4 * (threadIdx.x % kWarp)),
        has_zeros(first_key == 0) {}

  // Byte offset of a key's word; outside of the table for keys outside of the window.
  __device__ unsigned offset(unsigned key) const { return (key & ~1u) * (kRowBytes / 2) + origin; }
};

// 1 in the half of a word that counts the key.
__device__ inline unsigned one_of(unsigned key) {
  return (key & 1) * 0xFFFFu + 1;
}

// Of eight.
__device__ inline unsigned zeros_in(const uint4& vector) {
  const auto nonzero = [](unsigned word) {  // in bits 15 and 31; no carry crosses the halves
    return ((word & 0x7FFF7FFFu) + 0x7FFF7FFFu) & 0x80008000u;
  };
  return 8 - static_cast<unsigned>(__popc(nonzero(vector.x) | nonzero(vector.y) >> 1 |
                                          nonzero(vector.z) >> 2 | nonzero(vector.w) >> 3));
}

// Counts those of two keys that lie within the window; the larger of `farthest` and their offsets.
__device__ inline unsigned count_pair(unsigned pair, const LaneWindow& window, unsigned farthest) {
  const unsigned low = pair & 0x7FFF, high = pair >> 16 & 0x7FFF;
  const unsigned low_offset = window.offset(low), high_offset = window.offset(high);
  window.table.add_or_spare(low_offset, window.spare, one_of(low));
  const unsigned odd = pair & 0x10000;  // one_of(high), cheaper
  window.table.add_or_spare(high_offset, window.spare, odd > 1 ? odd : 1);
  farthest = farthest > low_offset ? farthest : low_offset;
  return farthest > high_offset ? farthest : high_offset;
}

// Those of a vector that lie outside of the window. All of them zeros is common, others are rare.
__device__ inline void count_outside(const uint4& vector, const LaneWindow& window, unsigned& zeros,
                                     unsigned long long* counts) {
  const auto outside = [&](unsigned pair) {
    return (window.table.holds(window.offset(pair & 0x7FFF)) ? 0u : 1u) +
           (window.table.holds(window.offset(pair >> 16 & 0x7FFF)) ? 0u : 1u);
  };
  if (!window.has_zeros) {
    const unsigned of_them_zeros = zeros_in(vector);
    zeros += of_them_zeros;
    if (of_them_zeros == outside(vector.x) + outside(vector.y) + outside(vector.z) + outside(vector.w))
      return;
  }
  uint4 rest = vector;
#pragma unroll 1
  for (int i = 0; i < 8; ++i) {
    const unsigned key = rest.x & 0x7FFF;
    if (key != 0 && !window.table.holds(window.offset(key))) add_global(&counts[key], 1);
    rest.x = __funnelshift_r(rest.x, rest.y, 16);
    rest.y = __funnelshift_r(rest.y, rest.z, 16);
    rest.z = __funnelshift_r(rest.z, rest.w, 16);
    rest.w >>= 16;
  }
}

// A vector of two keys four times each, as constant tensors have them: spares the few words that all
// threads then add to.
__device__ inline void count_repeated(unsigned pair, const LaneWindow& window, unsigned& zeros,
                                      unsigned long long* counts) {
#pragma unroll 1
  for (int i = 0; i < 2; ++i, pair >>= 16) {
    const unsigned key = pair & 0x7FFF, offset = window.offset(key);
    if (window.table.holds(offset))
      window.table.add(offset, 4 * one_of(key));
    else if (key == 0)
      zeros += 4;
    else
      add_global(&counts[key], 4);
  }
}

__device__ inline void count_vector(const uint4& vector, const LaneWindow& window, unsigned& zeros,
                                    unsigned long long* counts) {
  if (((vector.x ^ vector.y) | (vector.x ^ vector.z) | (vector.x ^ vector.w)) == 0)
    return count_repeated(vector.x, window, zeros, counts);
  unsigned farthest = 0;
  farthest = count_pair(vector.x, window, farthest);
  farthest = count_pair(vector.y, window, farthest);
  farthest = count_pair(vector.z, window, farthest);
  farthest = count_pair(vector.w, window, farthest);
  if (!window.table.holds(farthest)) count_outside(vector, window, zeros, counts);
}

// Adds the lanes' tables to the tensor's and leaves them empty. A thread takes a row; that lanes begin at
// different words of theirs keeps them in different banks.
__device__ inline void flush(unsigned* table, unsigned first_key, unsigned long long* counts) {
  for (unsigned row = threadIdx.x; row < kRows; row += kThreads) {
    unsigned* const words = table + row * kWarp;
    unsigned even = 0, odd = 0;
    for (unsigned i = 0; i < kWarp; ++i) {
      unsigned& word = words[(threadIdx.x + i) % kWarp];
      even += word & 0xFFFF;
      odd += word >> 16;
      word = 0;
    }
    if (even != 0) add_global(&counts[first_key + 2 * row], even);
    if (odd != 0) add_global(&counts[first_key + 2 * row + 1], odd);
  }
}

__global__ void __launch_bounds__(kThreads, 1) bf16_kernel(const StatisticsTask task) {
  AFP_DYNAMIC_SHARED(unsigned, table);
  AFP_SHARED(WindowScratch, scratch, 1);
  for (unsigned i = threadIdx.x; i < kTableBytes / 4; i += kThreads) table[i] = 0;
  for_each_run(task.work, task.tensors, task.chunks, kStatisticsChunk, kMostChunks,
               [&](const StatisticsTensor& tensor, std::uint64_t first, std::uint64_t count) {
                 const auto* weights = reinterpret_cast<const std::uint16_t*>(tensor.weights) + first;
                 const unsigned sample = weights[threadIdx.x * count / kThreads] & 0x7FFFu;
                 const bool is_number = sample != 0 && sample < 0x7F80u;
                 // Its barriers also separate this run from the flush before.
                 const int exponent = best_window(is_number ? static_cast<int>(sample / kKeysPerBinade) : -1,
                                                  static_cast<int>(kBinades), scratch[0]);
                 const unsigned first_key = static_cast<unsigned>(exponent) * kKeysPerBinade;
                 unsigned long long* const counts = tensor.tables.count;

                 const LaneWindow window(table, first_key);
                 const VectorSpan span(reinterpret_cast<const std::byte*>(weights), count, 2);
                 unsigned zeros = 0;
                 for_vectors<4>(span.vectors, static_cast<unsigned>(span.count), threadIdx.x, kThreads,
                                [&](const uint4& vector) { count_vector(vector, window, zeros, counts); });
                 for_edges<std::uint16_t>(span,
                                          [&](unsigned bits) { add_global(&counts[bits & 0x7FFFu], 1); });

                 zeros = __reduce_add_sync(kAllLanes, zeros);
                 if (threadIdx.x % kWarp == 0 && zeros != 0) add_global(&counts[0], zeros);
                 __syncthreads();
                 flush(table, first_key, counts);
               });
}

}  // namespace

cudaError_t statistics_bf16(const StatisticsTask& task, cudaStream_t stream) {
  if (const cudaError_t error = allow_shared(bf16_kernel, kSharedBytes); error != cudaSuccess) return error;
  return launch(bf16_kernel, persistent_blocks(task.chunks, task.multiprocessors), kThreads, kSharedBytes,
                stream, task);
}

cudaError_t statistics(const StatisticsTask& task, cudaStream_t stream) {
  switch (task.dtype) {
    case DType::BF16:
      return statistics_bf16(task, stream);
    case DType::F16:
      return statistics_f16(task, stream);
    case DType::F32:
      return statistics_f32(task, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace afp::kernels
