// Loading a cell of 128 weights for four neighbouring threads (HeldCell<32, 4>): each reads a quarter of the
// vectors, and they exchange weights, rather than that all read all of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/block_grid.hpp"
#include "kernels/cell_load.hpp"
#include "kernels/held_cell.hpp"

namespace afp::kernels {

inline constexpr int kQuad = 4;
inline constexpr int kQuadWeights = kSegment / kQuad;  // of a thread

// Word i of thread u to place u of thread i, among four threads.
__device__ inline void transpose_quad(std::uint32_t (&words)[kQuad]) {
#pragma unroll
  for (int distance = 1; distance < kQuad; distance *= 2) {
    const bool upper = (threadIdx.x & static_cast<unsigned>(distance)) != 0;
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
      if ((i & distance) != 0) continue;
      const std::uint32_t low = words[i], high = words[i + distance];
      const std::uint32_t other = __shfl_xor_sync(kAllLanes, upper ? low : high, distance);
      words[i] = upper ? other : low;
      words[i + distance] = upper ? high : other;
    }
  }
}

// Two 16-bit weights a word.
template <bool kBf16, int kVectors>
__device__ inline void halves_to_floats(const std::uint32_t (&words)[kVectors][kQuad],
                                        float (&weights)[kQuadWeights]) {
#pragma unroll
  for (int i = 0; i < kQuadWeights; ++i)
    weights[i] = half_to_float(words[i / 8][i / 2 % kQuad], i % 2, kBf16);
}

// As load_cell, of the cell of `count` weights at `cell`, zeros behind them; all threads of a warp together.
__device__ inline void load_quad(DType dtype, const std::byte* cell, int count,
                                 float (&weights)[kQuadWeights]) {
  const int u = static_cast<int>(threadIdx.x % kQuad);
  const int width = weight_bytes(dtype), per_vector = 16 / width;
  const bool is_odd = reinterpret_cast<std::uintptr_t>(cell) % 16 != 0 || count % per_vector != 0;
  if (__any_sync(kAllLanes, count != 0 && is_odd)) {
    load_one_by_one<kQuadWeights, kQuad>(dtype, cell, count, u, weights);
    return;
  }
  const uint4* const vectors = reinterpret_cast<const uint4*>(cell);
  const int end = count / per_vector;
  if (dtype == DType::F32) {
    constexpr int kVectors = kQuadWeights / 4;
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const uint4 v = kQuad * i + u < end ? vectors[kQuad * i + u] : uint4{};
      std::uint32_t words[kQuad] = {v.x, v.y, v.z, v.w};
      transpose_quad(words);
#pragma unroll
      for (int t = 0; t < kQuad; ++t) weights[kQuad * i + t] = bits_float(words[t]);
    }
    return;
  }
  constexpr int kVectors = kQuadWeights / 8;
  uint4 loaded[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i) loaded[i] = kQuad * i + u < end ? vectors[kQuad * i + u] : uint4{};
  std::uint32_t words[kVectors][kQuad];
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const uint4 v = loaded[i];
    // Weights r and r + 4 of the vector are thread r's.
    words[i][0] = __byte_perm(v.x, v.z, 0x5410);
    words[i][1] = __byte_perm(v.x, v.z, 0x7632);
    words[i][2] = __byte_perm(v.y, v.w, 0x5410);
    words[i][3] = __byte_perm(v.y, v.w, 0x7632);
    transpose_quad(words[i]);
  }
  if (dtype == DType::BF16)
    halves_to_floats<true>(words, weights);
  else
    halves_to_floats<false>(words, weights);
}

}  // namespace afp::kernels
