// Statistics of F16 weights: a count a key.
//
// Ceiling: shared memory atomics. With 1024 keys a binade no window of use fits a table a lane: the block has
// one table of all 32,768 keys, counters of 32 bits (128 KiB). On keys spread at random the fullest of 32
// banks gets 3.5 of a warp's 32 additions; lanes that add 1 to the same word take one turn together
// (ATOMS.POPC.INC), so constants are the fast case. Weights born in a type of fewer mantissa bits have keys
// that are multiples of 2^k, which would all lie in 2^(5-k) banks: the slot of a key mixes higher bits in.
#include "kernels/atomics.hpp"
#include "kernels/chunk_runs.hpp"
#include "kernels/statistics.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kThreads = 1024;
constexpr unsigned kTableBytes = 4 * kHalfKeys;
constexpr std::uint64_t kMostChunks = 1 << 16;  // of a run: a counter holds the weights of all
static_assert(kMostChunks * kStatisticsChunk <= 0xFFFFFFFFu);

// Its own inverse.
__device__ inline unsigned slot_of(unsigned key) {
  return key ^ (key >> 7 & 31);
}

__global__ void __launch_bounds__(kThreads, 1) f16_kernel(const StatisticsTask task) {
  AFP_DYNAMIC_SHARED(unsigned, counters);
  const SharedTable table(counters, kTableBytes);
  for (unsigned i = threadIdx.x; i < kHalfKeys; i += kThreads) counters[i] = 0;
  __syncthreads();
  for_each_run(task.work, task.tensors, task.chunks, kStatisticsChunk, kMostChunks,
               [&](const StatisticsTensor& tensor, std::uint64_t first, std::uint64_t count) {
                 const VectorSpan span(tensor.weights + 2 * first, count, 2);
                 const auto add = [&](unsigned bits) { table.add(4 * slot_of(bits & 0x7FFF), 1); };
                 for_vectors<4>(span.vectors, span.count, std::uint64_t{threadIdx.x}, std::uint64_t{kThreads},
                                [&](const uint4& vector) {
                                  add(vector.x);
                                  add(vector.x >> 16);
                                  add(vector.y);
                                  add(vector.y >> 16);
                                  add(vector.z);
                                  add(vector.z >> 16);
                                  add(vector.w);
                                  add(vector.w >> 16);
                                });
                 for_edges<std::uint16_t>(span, add);
                 __syncthreads();
                 for (unsigned slot = threadIdx.x; slot < kHalfKeys; slot += kThreads) {
                   if (counters[slot] != 0) add_global(&tensor.tables.count[slot_of(slot)], counters[slot]);
                   counters[slot] = 0;
                 }
                 __syncthreads();
               });
}

}  // namespace

cudaError_t statistics_f16(const StatisticsTask& task, cudaStream_t stream) {
  if (const cudaError_t error = allow_shared(f16_kernel, kTableBytes); error != cudaSuccess) return error;
  return launch(f16_kernel, persistent_blocks(task.chunks, task.multiprocessors), kThreads, kTableBytes,
                stream, task);
}

}  // namespace afp::kernels
