// Loading a cell into the registers of the threads that hold it (kernels/held_cell.hpp), by one thread or
// two; kernels/quad_load.hpp is for four.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device.hpp"
#include "kernels/device_piece.hpp"
#include "kernels/half_conversion.hpp"
#include "kernels/held_cell.hpp"

namespace afp::kernels {

// float32 of the low or the high half of a word of two 16-bit weights.
__device__ inline float half_to_float(std::uint32_t word, int half, bool is_bf16) {
  if (is_bf16) return bits_float(half == 0 ? word << 16 : word & 0xFFFF0000u);
  return half_to_float(static_cast<std::uint16_t>(half == 0 ? word : word >> 16));
}

// What a thread holds of a whole cell of 16-bit weights at a place aligned to 16 bytes. Two threads of a cell
// read the same vectors, 8 weights each, and each takes its own.
template <int kWeights, int kThreads, bool kBf16>
__device__ inline void load_halves(const std::byte* cell, int thread, float (&weights)[kWeights]) {
  static_assert(kThreads == 1 || kThreads == 2);
  constexpr int kTaken = 8 / kThreads;
  const uint4* vectors = reinterpret_cast<const uint4*>(cell);
#pragma unroll
  for (int v = 0; v < kWeights / kTaken; ++v) {
    const uint4 words = vectors[v];
    float* const out = &weights[v * kTaken];
    if constexpr (kThreads == 1) {
      const std::uint32_t all[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < 8; ++i) out[i] = half_to_float(all[i / 2], i % 2, kBf16);
    } else {
      const std::uint32_t own[2] = {thread == 0 ? words.x : words.y, thread == 0 ? words.z : words.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) out[i] = half_to_float(own[i / 2], i % 2, kBf16);
    }
  }
}

template <int kWeights, int kThreads>
__device__ inline void load_floats(const std::byte* cell, int thread, float (&weights)[kWeights]) {
  if constexpr (kThreads == 1) {
    const float4* vectors = reinterpret_cast<const float4*>(cell);
#pragma unroll
    for (int v = 0; v < kWeights / 4; ++v) {
      const float4 four = vectors[v];
      weights[4 * v] = four.x;
      weights[4 * v + 1] = four.y;
      weights[4 * v + 2] = four.z;
      weights[4 * v + 3] = four.w;
    }
  } else {
    const float2* vectors = reinterpret_cast<const float2*>(cell) + thread;
#pragma unroll
    for (int v = 0; v < kWeights / 2; ++v) {
      const float2 two = vectors[2 * v];
      weights[2 * v] = two.x;
      weights[2 * v + 1] = two.y;
    }
  }
}

// The same of a cell anywhere, of any length: zeros behind its end. All loads are on their way before the
// first is used.
template <int kWeights, int kThreads, class Raw>
__device__ inline void load_raw(const std::byte* cell, int count, int thread,
                                std::uint32_t (&raw)[kWeights]) {
  const Raw* values = reinterpret_cast<const Raw*>(cell);
#pragma unroll
  for (int i = 0; i < kWeights; ++i) {
    const int place = HeldCell<kWeights, kThreads>::place(i, thread);
    raw[i] = place < count ? values[place] : 0;
  }
}

template <int kWeights, int kThreads>
__device__ inline void load_one_by_one(DType dtype, const std::byte* cell, int count, int thread,
                                       float (&weights)[kWeights]) {
  std::uint32_t raw[kWeights];
  if (dtype == DType::F32) {
    load_raw<kWeights, kThreads, std::uint32_t>(cell, count, thread, raw);
#pragma unroll
    for (int i = 0; i < kWeights; ++i) weights[i] = bits_float(raw[i]);
    return;
  }
  load_raw<kWeights, kThreads, std::uint16_t>(cell, count, thread, raw);
  const bool is_bf16 = dtype == DType::BF16;
#pragma unroll
  for (int i = 0; i < kWeights; ++i) weights[i] = half_to_float(raw[i], 0, is_bf16);
}

}  // namespace afp::kernels
