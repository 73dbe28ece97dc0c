#include <cuda_runtime.h>

#include <stdexcept>

#include "sample_kernels.hpp"

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared,
                   cudaStream_t stream, Arguments... arguments) {
  const cudaLaunchConfig_t config{grid, block, shared, stream, nullptr, 0};
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

__global__ void __launch_bounds__(128)
    histogram_kernel(const std::uint8_t* __restrict__ bytes, unsigned n, unsigned* counts, Bug bug) {
  CUDA_EMULATOR_SHARED(unsigned, bins, 256);
  for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) bins[i] = 0;
  if (bug != Bug::kMissingBarrier) __syncthreads();
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    if (bug == Bug::kTwoWriters) {
      bins[bytes[i]] += 1;
    } else {
      atomicAdd(&bins[bytes[i]], 1);
    }
  }
  if (bug == Bug::kDivergentBarrier) {
    if (threadIdx.x < 100) __syncthreads();
  } else {
    if (bug == Bug::kEarlyExit && threadIdx.x == 77) return;
    __syncthreads();
  }
  const unsigned end = bug == Bug::kSharedBounds ? 257 : 256;
  for (unsigned i = threadIdx.x; i < end; i += blockDim.x) {
    if (bug == Bug::kTwoBlocks) {
      counts[i] += bins[i];
    } else {
      atomicAdd(&counts[i % 256], bins[i]);
    }
  }
}

__global__ void reverse_kernel(int* values, unsigned n, Bug bug) {
  CUDA_EMULATOR_DYNAMIC_SHARED(int, group);
  const unsigned t = threadIdx.x;
  for (unsigned begin = blockIdx.x * blockDim.x; begin < n; begin += gridDim.x * blockDim.x) {
    group[t + (bug == Bug::kDynamicBounds)] = values[begin + t];
    if (bug == Bug::kOtherBarrier && t % 2 == 0) {
      __syncthreads();
    } else {
      __syncthreads();
    }
    values[begin + t + (bug == Bug::kGlobalBounds)] = group[blockDim.x - 1 - t];
    if (bug != Bug::kWriteAfterRead) __syncthreads();
  }
}

__global__ void sums_kernel(const int* values, int* sums, Bug bug) {
  CUDA_EMULATOR_SHARED(int, of_warps, 8);
  CUDA_EMULATOR_SHARED(int, of_lanes, 256);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int sum = values[blockIdx.x * 256 + threadIdx.x];
  for (int offset = 16; offset > 1; offset /= 2) sum += __shfl_xor_sync(kAll, sum, offset);
  of_lanes[threadIdx.x] = sum;
  if (bug != Bug::kMissingWarpBarrier) __syncwarp();
  sum += of_lanes[threadIdx.x ^ 1];
  if (lane == 0) of_warps[warp] = sum;
  __syncthreads();
  if (warp != 0) return;
  sum = lane < 8 ? of_warps[lane] : 0;
  if (bug == Bug::kDivergedShuffle) {
    if (lane < 16) sum += __shfl_down_sync(kAll, sum, 4);
  }
  if (bug == Bug::kExitedLane && lane >= 16) return;
  const unsigned mask = bug == Bug::kWrongMask ? 0xFFFF : kAll;
  for (int offset = 4; offset > 0; offset /= 2) sum += __shfl_down_sync(mask, sum, offset);
  if (lane == 0) sums[blockIdx.x] = sum;
}

__global__ void quantize_kernel(const float* __restrict__ values, unsigned words,
                                std::uint32_t* __restrict__ codes) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= words) return;
  const float4* from = reinterpret_cast<const float4*>(values) + 2 * i;
  const float4 a = __ldcs(from), b = __ldg(from + 1);
  std::uint32_t word = 0, shift = 0;
  for (const float x : {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}) {
    word |= static_cast<std::uint32_t>(min(max(static_cast<int>(rintf(x)) + 8, 0), 15)) << shift;
    shift += 4;
  }
  __stcs(codes + i, word);
}

__global__ void last_block_kernel(const unsigned* values, unsigned n, unsigned* partial, unsigned* ticket,
                                  unsigned* total) {
  CUDA_EMULATOR_SHARED(unsigned, sum, 1);
  if (threadIdx.x == 0) sum[0] = 0;
  __syncthreads();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(&sum[0], values[i]);
  __syncthreads();
  if (threadIdx.x == 0) partial[blockIdx.x] = sum[0];
  __threadfence();
  bool last = false;
  if (threadIdx.x == 0) last = atomicAdd(ticket, 1) == gridDim.x - 1;
  if (__syncthreads_or(last) == 0) return;
  __threadfence();
  if (threadIdx.x == 0) {
    unsigned all = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) all += partial[b];
    *total = all;
  }
}

__global__ void shuffles_kernel(unsigned delta, int width, unsigned* received) {
  const unsigned lane = threadIdx.x;
  const auto value = 100 + lane;
  received[lane] = __shfl_up_sync(kAll, value, delta, width);
  received[32 + lane] =
      static_cast<unsigned>(__shfl_down_sync(kAll, std::uint64_t{value} << 32 | 7, delta, width) >> 32);
  received[64 + lane] =
      __shfl_xor_sync(kAll, static_cast<std::uint8_t>(value), static_cast<int>(delta), width);
  received[96 + lane] =
      static_cast<unsigned>(__shfl_sync(kAll, static_cast<float>(value), static_cast<int>(delta), width));
}

__global__ void votes_kernel(const unsigned* keys, unsigned* results) {
  const unsigned lane = threadIdx.x, key = keys[lane];
  results[lane] = __ballot_sync(kAll, key % 2);
  results[32 + lane] = static_cast<unsigned>(__any_sync(kAll, key == 3));
  results[64 + lane] = static_cast<unsigned>(__all_sync(kAll, key < 5));
  results[96 + lane] = __match_any_sync(kAll, key);
  results[128 + lane] = static_cast<unsigned>(__reduce_add_sync(kAll, -static_cast<int>(key)));
  results[160 + lane] = __reduce_max_sync(kAll, key);
  results[192 + lane] = static_cast<unsigned>(__reduce_min_sync(kAll, static_cast<int>(key) - 3));
  results[224 + lane] = __reduce_or_sync(kAll, 1u << key);
  results[256 + lane] = static_cast<unsigned>(__syncthreads_count(key == 2));
  // Two halves of a warp meet at the same time, each by its own mask.
  const unsigned half = lane % 2 == 0 ? 0x55555555u : 0xAAAAAAAAu;
  results[288 + lane] = __reduce_or_sync(half, 1u << lane);
}

__global__ void assign_kernel(int* values, unsigned n, int value) {
  for (unsigned i = threadIdx.x; i < n; i += blockDim.x) values[i] = value;
}
__global__ void increment_kernel(const int* from, int* to, unsigned n) {
  for (unsigned i = threadIdx.x; i < n; i += blockDim.x) to[i] = from[i] + 1;
}
__global__ void order_kernel(unsigned* next, unsigned* to) { to[atomicAdd(next, 1)] = blockIdx.x; }
__global__ void throwing_kernel() {
  if (threadIdx.x == 3) throw std::out_of_range("thrown by a kernel");
  __syncthreads();
}
__global__ void dynamic_kernel(std::size_t bytes) {
  CUDA_EMULATOR_DYNAMIC_SHARED(unsigned char, data);
  data[bytes - 1] = 1;
}
__global__ void fresh_kernel(unsigned* data) {
  CUDA_EMULATOR_SHARED(unsigned, words, 16);
  CUDA_EMULATOR_DYNAMIC_SHARED(unsigned, more);
  const unsigned t = threadIdx.x;
  data[blockIdx.x * 32 + t] = words[t];
  data[blockIdx.x * 32 + 16 + t] = more[t];
  words[t] = more[t] = 0;
}

}  // namespace

cudaError_t histogram(const std::uint8_t* bytes, unsigned n, unsigned* counts, Bug bug, cudaStream_t stream) {
  return launch(histogram_kernel, 4, 128, 0, stream, bytes, n, counts, bug);
}
cudaError_t reverse(int* values, unsigned n, unsigned threads, Bug bug, cudaStream_t stream) {
  return launch(reverse_kernel, 2, threads, threads * sizeof(int), stream, values, n, bug);
}
cudaError_t sums(const int* values, unsigned blocks, int* sums, Bug bug, cudaStream_t stream) {
  return launch(sums_kernel, blocks, 256, 0, stream, values, sums, bug);
}
cudaError_t quantize(const float* values, unsigned words, std::uint32_t* codes, cudaStream_t stream) {
  return launch(quantize_kernel, (words + 63) / 64, 64, 0, stream, values, words, codes);
}
cudaError_t last_block_sum(const unsigned* values, unsigned n, unsigned* partial, unsigned* ticket,
                           unsigned* total, cudaStream_t stream) {
  return launch(last_block_kernel, (n + 63) / 64, 64, 0, stream, values, n, partial, ticket, total);
}
cudaError_t shuffles(unsigned delta, int width, unsigned* received, cudaStream_t stream) {
  return launch(shuffles_kernel, 1, 32, 0, stream, delta, width, received);
}
cudaError_t votes(const unsigned* keys, unsigned lanes, unsigned* results, cudaStream_t stream) {
  return launch(votes_kernel, 1, lanes, 0, stream, keys, results);
}
cudaError_t assign(int* values, unsigned n, int value, cudaStream_t stream) {
  return launch(assign_kernel, 1, 32, 0, stream, values, n, value);
}
cudaError_t increment(const int* from, int* to, unsigned n, cudaStream_t stream) {
  return launch(increment_kernel, 1, 32, 0, stream, from, to, n);
}
cudaError_t block_order(unsigned* next, unsigned* to, unsigned blocks, cudaStream_t stream) {
  return launch(order_kernel, dim3(blocks / 4, 2, 2), 1, 0, stream, next, to);
}
cudaError_t throwing(cudaStream_t stream) { return launch(throwing_kernel, 1, 64, 0, stream); }
cudaError_t much_shared_memory(std::size_t bytes, bool opt_in, cudaStream_t stream) {
  if (opt_in) {
    const cudaError_t error = cudaFuncSetAttribute(
        dynamic_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (error != cudaSuccess) return error;
  }
  return launch(dynamic_kernel, 1, 1, bytes, stream, bytes);
}
cudaError_t fresh_shared_memory(unsigned* data, cudaStream_t stream) {
  return launch(fresh_kernel, 3, 16, 16 * sizeof(unsigned), stream, data);
}
