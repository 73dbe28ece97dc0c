// A cell in the registers of one, two or four neighbouring threads: its weights, and sums over them.
//
// Thread t of kThreads holds the weights whose running sum (j mod 4) is one of its own 4 / kThreads, so that
// the four sums of the definition (afp/block_search.hpp) are gathered without an exchange; only they are
// added across threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device.hpp"
#include "kernels/device_piece.hpp"
#include "kernels/half_conversion.hpp"

namespace afp::kernels {

template <int kWeights, int kThreads>
struct HeldCell {
  static_assert(kThreads == 1 || kThreads == 2 || kThreads == 4);
  static constexpr int kSums = 4 / kThreads;

  // The place within the cell of weight i of thread `thread`.
  __device__ static constexpr int place(int i, int thread) {
    return i / kSums * 4 + thread * kSums + i % kSums;
  }

  float magnitudes[kWeights];  // in the block's unit
  std::uint32_t signs;         // bit 8 (i % 4) + i / 4: weight i is negative

  // Takes over weights as they were loaded, and says what is known of the block.
  __device__ BlockFacts set(const float (&weights)[kWeights], int lowest) {
    float first[2] = {0.0f, 0.0f}, second[2] = {0.0f, 0.0f};  // two chains
    std::uint32_t bytes[4] = {};
#pragma unroll
    for (int i = kWeights - 1; i >= 0; --i) {
      const float magnitude = fabsf(weights[i]);
      second[i % 2] = greater(second[i % 2], lesser(first[i % 2], magnitude));
      first[i % 2] = greater(first[i % 2], magnitude);
      bytes[i % 4] = __funnelshift_l(float_bits(weights[i]), bytes[i % 4], 1);
    }
    signs =
        __byte_perm(__byte_perm(bytes[0], bytes[1], 0x0040), __byte_perm(bytes[2], bytes[3], 0x0040), 0x5410);
    float largest = greater(first[0], first[1]);
    float next = greater(greater(second[0], second[1]), lesser(first[0], first[1]));
#pragma unroll
    for (int distance = 1; distance < kThreads; distance *= 2) {
      const float other = __shfl_xor_sync(kAllLanes, largest, distance);
      const float other_next = __shfl_xor_sync(kAllLanes, next, distance);
      next = greater(greater(next, other_next), lesser(largest, other));
      largest = greater(largest, other);
    }
    const BlockFacts facts = block_facts(lowest, largest, next);
    const float normalizer = exp2_int(-facts.exponent);
#pragma unroll
    for (int i = 0; i < kWeights; ++i) magnitudes[i] = fabsf(weights[i]) * normalizer;
    return facts;
  }

  // The squares of term(magnitude), added as the definition says; the threads of a cell get the same.
  template <class Term>
  __device__ float sum_of_squares(const Term& term) const {
    float sums[kSums] = {};
#pragma unroll
    for (int i = 0; i < kWeights; ++i) {
      const float value = term(magnitudes[i]);
      sums[i % kSums] += value * value;
    }
    if constexpr (kThreads == 1) return (sums[0] + sums[1]) + (sums[2] + sums[3]);
    float pair = sums[0];
    if constexpr (kThreads == 2) {
      pair += sums[1];
    } else {
      pair += __shfl_xor_sync(kAllLanes, pair, 1);
    }
    return pair + __shfl_xor_sync(kAllLanes, pair, kThreads / 2);
  }

  __device__ float signal() const {
    return sum_of_squares([](float magnitude) { return magnitude; });
  }

  // The smallest magnitude but zero, or more than any.
  __device__ float smallest() const {
    std::uint32_t least = 0xFFFF'FFFFu;
#pragma unroll
    for (int i = 0; i < kWeights; ++i) {  // 0 - 1 is the largest
      const std::uint32_t below = float_bits(magnitudes[i]) - 1;
      least = below < least ? below : least;
    }
#pragma unroll
    for (int distance = 1; distance < kThreads; distance *= 2) {
      const std::uint32_t other = __shfl_xor_sync(kAllLanes, least, distance);
      least = other < least ? other : least;
    }
    return least >= 0x7F80'0000u ? bits_float(0x7F80'0000u) : bits_float(least + 1);
  }

  // The squared error of magnitudes rounded to steps of their own binade; `steps` is the shifter in units of
  // the binade.
  __device__ float relative_error(float steps) const {
    return sum_of_squares([&](float magnitude) {
      const float b = binade_of(magnitude);
      return magnitude - add_exact_product(add_exact_product(magnitude, b, steps), -b, steps);
    });
  }

  // --- What BlockScan asks for; all lanes of the warp ask together ---

  __device__ bool any(bool one) const {
    return __any_sync(kAllLanes, one) != 0;
  }
  __device__ float clipped(float limit) const {
    return sum_of_squares([&](float magnitude) { return clipped_difference(magnitude, limit); });
  }
  __device__ float error(const BlockTrial& trial) const {
    return trial.may_clip ? error_of_kind<true>(trial) : error_of_kind<false>(trial);
  }

 private:
  template <bool kClips>
  __device__ float error_of_kind(const BlockTrial& trial) const {
    const Rounding& rounding = trial.rounding;
    if (trial.is_power)
      return rounding.is_uniform ? error_of_power<kClips, true>(trial) : error_of_power<kClips, false>(trial);
    if (rounding.is_uniform) return scaled_error<kClips, true, false>(trial);
    return rounding.depends_on_parity() ? scaled_error<kClips, false, true>(trial)
                                        : scaled_error<kClips, false, false>(trial);
  }

  // Under a power of two a magnitude is rounded where it lies, to the Format's values times the scale. (A tie
  // is as far from either value: parity does not matter.)
  template <bool kClips, bool kUniform>
  __device__ float error_of_power(const BlockTrial& trial) const {
    const Rounding& rounding = trial.rounding;
    const float least = rounding.min_normal * trial.scale, limit = rounding.max_value * trial.scale;
    const float steps = rounding.steps_of_odd, shifter = least * steps;
    return sum_of_squares([&](float magnitude) {
      float value;
      if constexpr (kUniform) {
        value = (magnitude + shifter) - shifter;
      } else {
        const float b = greater(binade_of(magnitude), least);
        value = add_exact_product(add_exact_product(magnitude, b, steps), -b, steps);
      }
      if constexpr (kClips) value = lesser(value, limit);
      return magnitude - value;
    });
  }

  template <bool kClips, bool kUniform, bool kParity>
  __device__ float scaled_error(const BlockTrial& trial) const {
    const Rounding& rounding = trial.rounding;
    const float steps = rounding.steps_of_odd, shifter = rounding.min_normal * steps;
    const float scale = trial.scale, reciprocal = trial.reciprocal;
    return sum_of_squares([&](float magnitude) {
      float y = magnitude * reciprocal;
      if constexpr (kClips) y = lesser(y, rounding.max_value);
      float value;
      if constexpr (kUniform) {
        value = (y + shifter) - shifter;
      } else if constexpr (kParity) {
        value = rounding.value(y);
      } else {
        const float b = greater(binade_of(y), rounding.min_normal);
        value = add_exact_product(add_exact_product(y, b, steps), -b, steps);
      }
      return add_exact_product(magnitude, -value, scale);
    });
  }

  __device__ static float binade_of(float magnitude) {
    return bits_float(float_bits(magnitude) & 0x7F800000u);
  }
};

// float32 of the low or the high half of a word of two 16-bit weights.
__device__ inline float half_to_float(std::uint32_t word, int half, bool is_bf16) {
  if (is_bf16) return bits_float(half == 0 ? word << 16 : word & 0xFFFF0000u);
  return half_to_float(static_cast<std::uint16_t>(half == 0 ? word : word >> 16));
}

// What a thread holds of a whole cell of 16-bit weights at a place aligned to 16 bytes. The threads of a cell
// read the same vectors, 8 weights each, and every one takes its own.
template <int kWeights, int kThreads, bool kBf16>
__device__ inline void load_halves(const std::byte* cell, int thread, float (&weights)[kWeights]) {
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
    } else if constexpr (kThreads == 2) {
      const std::uint32_t own[2] = {thread == 0 ? words.x : words.y, thread == 0 ? words.z : words.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) out[i] = half_to_float(own[i / 2], i % 2, kBf16);
    } else {
      const std::uint32_t own[2] = {thread < 2 ? words.x : words.y, thread < 2 ? words.z : words.w};
      const unsigned shift = thread % 2 == 0 ? 0 : 16;
#pragma unroll
      for (int i = 0; i < 2; ++i) out[i] = half_to_float(own[i] >> shift, 0, kBf16);
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
  } else if constexpr (kThreads == 2) {
    const float2* vectors = reinterpret_cast<const float2*>(cell) + thread;
#pragma unroll
    for (int v = 0; v < kWeights / 2; ++v) {
      const float2 two = vectors[2 * v];
      weights[2 * v] = two.x;
      weights[2 * v + 1] = two.y;
    }
  } else {
    const float* values = reinterpret_cast<const float*>(cell) + thread;
#pragma unroll
    for (int v = 0; v < kWeights; ++v) weights[v] = values[4 * v];
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

// What a thread holds of the cell of `count` weights at `cell`.
template <int kWeights, int kThreads>
__device__ inline void load_cell(DType dtype, const std::byte* cell, int count, int thread,
                                 float (&weights)[kWeights]) {
  if (count == kWeights * kThreads && reinterpret_cast<std::uintptr_t>(cell) % 16 == 0) {
    if (dtype == DType::F32)
      load_floats<kWeights, kThreads>(cell, thread, weights);
    else if (dtype == DType::BF16)
      load_halves<kWeights, kThreads, true>(cell, thread, weights);
    else
      load_halves<kWeights, kThreads, false>(cell, thread, weights);
  } else {
    load_one_by_one<kWeights, kThreads>(dtype, cell, count, thread, weights);
  }
}

// How many weights there is room for where the grid's cells are held: 16, 32, 64 or 128.
inline int held_weights(const BlockGrid& grid) {
  if (grid.block.kind == BlockKind::small) return grid.cell_size;
  return grid.columns <= 16 ? 16 : grid.columns <= 32 ? 32 : grid.columns <= 64 ? 64 : 128;
}

// Where the cells of a strip lie in a piece.
class StripPlaces {
 public:
  // `first`: the strip's first cell, as the grid counts.
  __device__ StripPlaces(const DevicePiece& piece, std::uint64_t first)
      : grid_(piece.grid),
        whole_(piece.grid.columns == piece.grid.cells_per_row * static_cast<unsigned>(piece.grid.cell_size)),
        column_(whole_ ? 0 : first % piece.grid.cells_per_row),
        width_(static_cast<unsigned>(weight_bytes(piece.dtype))),
        base_(piece.weights + row_weights(piece, first) * width_) {}

  struct Cell {
    const std::byte* weights;
    int count;
  };
  // The cell `index` cells behind the first.
  __device__ Cell cell(unsigned index) const {
    const unsigned size = static_cast<unsigned>(grid_.cell_size);
    if (whole_) return {base_ + std::size_t{index} * size * width_, grid_.cell_size};
    const std::uint64_t at = column_ + index;
    std::uint64_t row, column;
    if (at <= 0xFFFFFFFFu && grid_.cells_per_row <= 0xFFFFFFFFu) {  // division of 64 bits is dear
      const auto low = static_cast<std::uint32_t>(at),
                 per_row = static_cast<std::uint32_t>(grid_.cells_per_row);
      row = low / per_row;
      column = low % per_row;
    } else {
      row = at / grid_.cells_per_row;
      column = at % grid_.cells_per_row;
    }
    const std::uint64_t begin = column * size, left = grid_.columns - begin;
    return {base_ + (row * grid_.columns + begin) * width_,
            left < size ? static_cast<int>(left) : grid_.cell_size};
  }

 private:
  // The weights of the piece before the row of the cell `first`, or before the cell itself.
  __device__ std::uint64_t row_weights(const DevicePiece& piece, std::uint64_t first) const {
    const auto size = static_cast<unsigned>(piece.grid.cell_size);
    if (whole_) return (first - piece.cells.first) * size;
    return piece.grid.weight_begin(first) - piece.first_weight() - column_ * size;
  }

  const BlockGrid& grid_;
  bool whole_;            // no cell is short
  std::uint64_t column_;  // of cells, the strip's first
  unsigned width_;
  const std::byte* base_;  // of the first cell's row, or of the cell itself
};

}  // namespace afp::kernels
