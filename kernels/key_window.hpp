// Where a table of few binades is best placed: chosen from the exponents of a sample of the weights.
#pragma once

#include "kernels/device.hpp"

namespace afp::kernels {

// Shared memory that best_window() works in.
struct WindowScratch {
  unsigned votes[512];  // those from 256 on stay zero: windows may reach beyond the last exponent
  unsigned best[8], last[8];
};

// The first exponent of the `width` consecutive ones (of 0..255) that hold the most samples; of several
// windows the middle one, so that as many binades as may be are left above and below the sample. Every
// thread of a block of at least 256 gives one exponent (or -1: none) and gets the result. Holds barriers.
__device__ inline int best_window(int exponent, int width, WindowScratch& scratch) {
  const unsigned thread = threadIdx.x, warp = thread / kWarp, lane = thread % kWarp;
  for (unsigned i = thread; i < 512; i += blockDim.x) scratch.votes[i] = 0;
  __syncthreads();
  if (exponent >= 0) atomicAdd(&scratch.votes[exponent], 1u);
  __syncthreads();
  const bool takes_part = warp < 8;
  const auto highest_first = static_cast<unsigned>(256 - width);
  unsigned score = 0;
  if (takes_part) {
    if (thread <= highest_first)
      for (int i = 0; i < width; ++i) score += scratch.votes[thread + static_cast<unsigned>(i)];
    // The highest score, of equal ones the lowest window.
    const unsigned best = __reduce_max_sync(kAllLanes, score << 8 | (255 - thread));
    if (lane == 0) scratch.best[warp] = best;
  }
  __syncthreads();
  unsigned best = 0;
  for (const unsigned of_warp : scratch.best) best = best < of_warp ? of_warp : best;
  const unsigned lowest = 255 - (best & 255);
  if (takes_part) {
    // Where the windows with that score end.
    const bool differs = thread > highest_first || score != best >> 8;
    const unsigned end = __reduce_min_sync(kAllLanes, thread > lowest && differs ? thread : 256u);
    if (lane == 0) scratch.last[warp] = end;
  }
  __syncthreads();
  unsigned end = highest_first + 1;
  for (const unsigned of_warp : scratch.last) end = of_warp < end ? of_warp : end;
  return static_cast<int>((lowest + end - 1) / 2);
}

}  // namespace afp::kernels
