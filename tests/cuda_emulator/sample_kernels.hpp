// Kernels by which the emulator is tested: right ones, and the same with a bug planted.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

enum class Bug {
  kNone,
  kMissingBarrier,     // histogram
  kDivergentBarrier,   // histogram
  kEarlyExit,          // histogram
  kTwoWriters,         // histogram: a plain += on shared memory
  kSharedBounds,       // histogram: reads one element too far
  kTwoBlocks,          // histogram: a plain += on global memory
  kWriteAfterRead,     // reverse
  kGlobalBounds,       // reverse: writes one element too far
  kDynamicBounds,      // reverse: writes one element too far
  kOtherBarrier,       // reverse: two halves of the block meet in different barriers
  kDivergedShuffle,    // sums
  kWrongMask,          // sums: the mask lacks lanes that take part
  kExitedLane,         // sums: the mask names lanes that are gone
  kMissingWarpBarrier  // sums
};

// counts[v] += how often v stands among bytes[0..n); 256 counts.
cudaError_t histogram(const std::uint8_t* bytes, unsigned n, unsigned* counts, Bug bug, cudaStream_t stream);

// Reverses every group of `threads` values, in place; `n` a multiple of it. Each block takes groups in turn.
cudaError_t reverse(int* values, unsigned n, unsigned threads, Bug bug, cudaStream_t stream);

// sums[b] = the sum of values[256 b .. 256 b + 255], by shuffles and then over shared memory.
cudaError_t sums(const int* values, unsigned blocks, int* sums, Bug bug, cudaStream_t stream);

// codes[i]: eight 4-bit codes, clamp(round(x) + 8, 0, 15) of values[8 i .. 8 i + 7], the first in the low
// bits.
cudaError_t quantize(const float* values, unsigned words, std::uint32_t* codes, cudaStream_t stream);

// The sum of all, by the last block to finish: total[0]; ticket[0] must be 0 before.
cudaError_t last_block_sum(const unsigned* values, unsigned n, unsigned* partial, unsigned* ticket,
                           unsigned* total, cudaStream_t stream);

// For each lane of a warp and each instruction: received[instruction * 32 + lane] (kShuffles of them, see the
// test).
inline constexpr unsigned kShuffles = 4;
cudaError_t shuffles(unsigned delta, int width, unsigned* received, cudaStream_t stream);

// The votes, matches and reductions of a warp of `lanes` lanes on keys[lane]: results[instruction * 32 +
// lane].
inline constexpr unsigned kVotes = 10;
cudaError_t votes(const unsigned* keys, unsigned lanes, unsigned* results, cudaStream_t stream);

// values[i] = value
cudaError_t assign(int* values, unsigned n, int value, cudaStream_t stream);
// to[i] = from[i] + 1
cudaError_t increment(const int* from, int* to, unsigned n, cudaStream_t stream);
// to[i] = blockIdx.x of the i-th block that ran
cudaError_t block_order(unsigned* next, unsigned* to, unsigned blocks, cudaStream_t stream);
cudaError_t throwing(cudaStream_t stream);
// Asks for `bytes` of dynamic shared memory; `opt_in` lets it.
cudaError_t much_shared_memory(std::size_t bytes, bool opt_in, cudaStream_t stream);
// data[i] = what shared memory holds before anything is written, static (16 words) and dynamic (16 words)
cudaError_t fresh_shared_memory(unsigned* data, cudaStream_t stream);
