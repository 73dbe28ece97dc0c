// What kernels are written in: CUDA C++, so that the same sources also compile as plain C++ against the
// execution emulator of tests/cuda_emulator, which stands in for <cuda_runtime.h>.
//
//   - shared memory is declared by AFP_SHARED or AFP_DYNAMIC_SHARED, kernels are started by launch()
//   - what has no meaning in C++ (PTX) stays in small functions with a twin in C++
//   - reductions over a warp or a block are those below: CUB's are PTX
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "afp/hd.hpp"

// T* name: `count` elements of shared memory; and what the launch gave beyond these, aligned to 16 bytes.
#if defined(__CUDACC__)
#define AFP_SHARED(T, name, count) __shared__ T name[count]
#define AFP_DYNAMIC_SHARED(T, name)                                         \
  extern __shared__ __align__(16) unsigned char afp_dynamic_shared_bytes[]; \
  T* const name = reinterpret_cast<T*>(afp_dynamic_shared_bytes)
#else
#define AFP_SHARED(T, name, count) CUDA_EMULATOR_SHARED(T, name, count)
#define AFP_DYNAMIC_SHARED(T, name) CUDA_EMULATOR_DYNAMIC_SHARED(T, name)
#endif

namespace afp::kernels {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

// Starts a kernel; what the device says of the launch itself.
template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                   cudaStream_t stream, const std::type_identity_t<Parameters>&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

// More dynamic shared memory than the 48 KiB that every kernel may have; before the launch.
template <class... Parameters>
cudaError_t allow_shared(void (*kernel)(Parameters...), std::size_t bytes) {
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

// Over the lanes of a full warp; every lane gets the result.
template <class T, class Combine>
__device__ inline T warp_reduce(T value, const Combine& combine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// Over all threads of a block of whole warps, at most 32 of them; thread 0 gets the result. `scratch` holds
// one T a warp and is free again after the next barrier.
template <class T, class Combine>
__device__ inline T block_reduce(T value, const Combine& combine, T identity, T* scratch) {
  value = warp_reduce(value, combine);
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  if (warp != 0) return identity;
  return warp_reduce(lane < blockDim.x / kWarp ? scratch[lane] : identity, combine);
}

}  // namespace afp::kernels
