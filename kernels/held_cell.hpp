// A cell in the registers of one, two or four neighbouring threads: its weights, and sums over them.
//
// Thread t of kThreads holds the weights whose running sum (j mod 4) is one of its own 4 / kThreads, so that
// the four sums of the definition (afp/block_search.hpp) are gathered without an exchange; only they are
// added across threads.
#pragma once

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device.hpp"

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
  float largest[kSums];        // of each running sum
  std::uint32_t signs;         // bit 8 (i % 4) + i / 4: weight i is negative

  // Takes over weights as they were loaded, and says what is known of the block.
  __device__ BlockFacts set(const float (&weights)[kWeights], int lowest) {
    std::uint32_t bytes[4] = {};
#pragma unroll
    for (int u = 0; u < kSums; ++u) largest[u] = 0.0f;
#pragma unroll
    for (int i = kWeights - 1; i >= 0; --i) {
      largest[i % kSums] = greater(largest[i % kSums], fabsf(weights[i]));
      bytes[i % 4] = __funnelshift_l(float_bits(weights[i]), bytes[i % 4], 1);
    }
    signs =
        __byte_perm(__byte_perm(bytes[0], bytes[1], 0x0040), __byte_perm(bytes[2], bytes[3], 0x0040), 0x5410);
    float absmax = largest[0];
#pragma unroll
    for (int u = 1; u < kSums; ++u) absmax = greater(absmax, largest[u]);
#pragma unroll
    for (int distance = 1; distance < kThreads; distance *= 2)
      absmax = greater(absmax, __shfl_xor_sync(kAllLanes, absmax, distance));
    const BlockFacts facts = block_facts(lowest, absmax);
    const float normalizer = exp2_int(-facts.exponent);
#pragma unroll
    for (int u = 0; u < kSums; ++u) largest[u] *= normalizer;
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
    return total(sums);
  }

  __device__ float signal() const {
    return sum_of_squares([](float magnitude) { return magnitude; });
  }

  // The smallest magnitude of this thread's but zero, or more than any.
  __device__ float smallest() const {
    std::uint32_t least = 0xFFFF'FFFFu;
#pragma unroll
    for (int i = 0; i < kWeights; ++i) {  // 0 - 1 is the largest
      const std::uint32_t below = float_bits(magnitudes[i]) - 1;
      least = below < least ? below : least;
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
  __device__ float clipped_at_least(float limit) const {
    float squares[kSums];
#pragma unroll
    for (int u = 0; u < kSums; ++u) {
      const float beyond = clipped_difference(largest[u], limit);
      squares[u] = beyond * beyond;
    }
    return total(squares);
  }
  __device__ float error(const BlockTrial& trial) const {
    return trial.may_clip ? error_of_kind<true>(trial) : error_of_kind<false>(trial);
  }

 private:
  // The running sums as one.
  __device__ static float total(const float (&sums)[kSums]) {
    if constexpr (kThreads == 1) return (sums[0] + sums[1]) + (sums[2] + sums[3]);
    float pair = sums[0];
    if constexpr (kThreads == 2) {
      pair += sums[1];
    } else {
      pair += __shfl_xor_sync(kAllLanes, pair, 1);
    }
    return pair + __shfl_xor_sync(kAllLanes, pair, kThreads / 2);
  }

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

}  // namespace afp::kernels
