// Sums of what the threads before hold: over a warp, over a block.
#pragma once

#include <cstdint>

#include "kernels/device.hpp"

namespace afp::kernels {

// The sum of this lane's value and those of the lanes before.
template <class T>
__device__ inline T warp_inclusive_sum(T value) {
  const unsigned lane = threadIdx.x % kWarp;
  for (unsigned distance = 1; distance < kWarp; distance *= 2) {
    const T before = __shfl_up_sync(kAllLanes, value, distance);
    if (lane >= distance) value += before;
  }
  return value;
}

// Of a block of 32 warps: the sum of the values of the threads before, and of all. `scratch` holds one T a
// warp, and is free again after the next barrier.
template <class T>
struct BlockSum {
  T before, all;
};
template <class T>
__device__ inline BlockSum<T> block_exclusive_sum(T value, T* scratch) {
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const T up_to = warp_inclusive_sum(value);
  if (lane == kWarp - 1) scratch[warp] = up_to;
  __syncthreads();
  const T warps = warp_inclusive_sum(scratch[lane]);
  const T before = __shfl_sync(kAllLanes, warps, static_cast<int>(warp == 0 ? 0 : warp - 1));
  return {up_to - value + (warp == 0 ? T{} : before), __shfl_sync(kAllLanes, warps, kWarp - 1)};
}

}  // namespace afp::kernels
