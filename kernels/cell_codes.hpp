// Codes of a cell that threads hold, packed and stored.
#pragma once

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device.hpp"
#include "kernels/held_cell.hpp"

namespace afp::kernels {

// A Format as encoding needs it. The code of a value v is the bits of v * 2^(bias - 127) as float32, shifted:
// by that power of two the Format's exponent field becomes float32's, subnormal values becoming subnormal
// ones.
struct CodeGrid {
  float min_normal, max_value, steps;
  float to_code;
  int shift;             // 23 - M
  std::uint32_t parity;  // 1 where ties depend on the binade's exponent, see Rounding

  __device__ explicit CodeGrid(Format format)
      : min_normal(exp2_int(format.min_normal_exponent())),
        max_value(format.max_value()),
        steps(exp2_int(23 - format.mantissa_bits)),
        to_code(exp2_int(format.bias() - 127)),
        shift(23 - format.mantissa_bits),
        parity(format.mantissa_bits == 0 && format.exponent_bits > 1 ? 1 : 0) {}

  // Of y >= 0, the magnitude part.
  __device__ std::uint32_t code(float y) const {
    y = lesser(y, max_value);
    const float b = greater(bits_float(float_bits(y) & 0x7F800000u), min_normal);
    const float shifter = bits_float(float_bits(steps) | (~(float_bits(b) >> 23) & parity));
    const float value = add_exact_product(add_exact_product(y, b, shifter), -b, shifter);
    return float_bits(value * to_code) >> shift;
  }
};

// Four codes, one a byte, to the same in the low 4 * bits bits.
__device__ inline std::uint32_t pack_four(std::uint32_t bytes, int bits) {
  const std::uint32_t pairs = (bytes & 0x00FF00FFu) | (bytes & 0xFF00FF00u) >> (8 - bits);
  return (pairs & 0xFFFFu) | pairs >> 16 << (2 * bits);
}

// 32 codes, one a byte, to kBits words.
template <int kBits>
__device__ inline void pack_words(const std::uint32_t (&bytes)[8], std::uint32_t (&words)[kBits]) {
#pragma unroll
  for (int w = 0; w < kBits; ++w) words[w] = 0;
#pragma unroll
  for (int q = 0; q < 8; ++q) {
    const std::uint32_t four = pack_four(bytes[q], kBits);
    const int bit = 4 * kBits * q, word = bit / 32, shift = bit % 32;
    words[word] |= four << shift;
    if (shift + 4 * kBits > 32) words[word + 1] |= four >> (32 - shift);
  }
}

// Stores 32 codes, or of them the first 16 (kHalf), in words as wide as their alignment allows: `out` is
// aligned like a multiple of their size.
template <int kBits, bool kHalf>
__device__ inline void store_codes(const std::uint32_t (&bytes)[8], std::uint8_t* out) {
  std::uint32_t words[kBits];
  pack_words<kBits>(bytes, words);
  if constexpr (!kHalf && kBits % 4 == 0) {
#pragma unroll
    for (int w = 0; w < kBits; w += 4)
      reinterpret_cast<uint4*>(out)[w / 4] = make_uint4(words[w], words[w + 1], words[w + 2], words[w + 3]);
  } else if constexpr (!kHalf && kBits % 2 == 0) {
#pragma unroll
    for (int w = 0; w < kBits; w += 2)
      reinterpret_cast<uint2*>(out)[w / 2] = make_uint2(words[w], words[w + 1]);
  } else if constexpr (!kHalf) {
#pragma unroll
    for (int w = 0; w < kBits; ++w) reinterpret_cast<std::uint32_t*>(out)[w] = words[w];
  } else if constexpr (kBits == 8) {
    *reinterpret_cast<uint4*>(out) = make_uint4(words[0], words[1], words[2], words[3]);
  } else if constexpr (kBits == 4) {
    *reinterpret_cast<uint2*>(out) = make_uint2(words[0], words[1]);
  } else if constexpr (kBits % 2 == 0) {
#pragma unroll
    for (int w = 0; w < kBits / 2; ++w) reinterpret_cast<std::uint32_t*>(out)[w] = words[w];
  } else {
#pragma unroll
    for (int h = 0; h < kBits; ++h)
      reinterpret_cast<std::uint16_t*>(out)[h] = static_cast<std::uint16_t>(words[h / 2] >> (h % 2 * 16));
  }
}

template <bool kHalf>
__device__ inline void store_codes(int bits, const std::uint32_t (&bytes)[8], std::uint8_t* out) {
  switch (bits) {
    case 2:
      return store_codes<2, kHalf>(bytes, out);
    case 3:
      return store_codes<3, kHalf>(bytes, out);
    case 4:
      return store_codes<4, kHalf>(bytes, out);
    case 5:
      return store_codes<5, kHalf>(bytes, out);
    case 6:
      return store_codes<6, kHalf>(bytes, out);
    case 7:
      return store_codes<7, kHalf>(bytes, out);
    default:
      return store_codes<8, kHalf>(bytes, out);
  }
}

// The codes of a cell, kept as bytes while threads exchange them.
template <int kWeights, int kThreads>
class CellCodes {
 public:
  // Shared memory for the exchange, words a cell: one more than it holds, against bank conflicts.
  static constexpr int kStagedWords = kThreads == 1 ? 0 : kWeights * kThreads / 4 + 1;

  // Codes under the scale with this byte.
  __device__ CellCodes(const HeldCell<kWeights, kThreads>& cell, const BlockCodec& codec, int exponent,
                       std::uint32_t byte) {
    // |w| * r is magnitude * (r * 2^exponent), rounded alike; that factor is exact.
    const float reciprocal = codec.reciprocal(byte) * exp2_int(exponent);
    const CodeGrid grid(codec.format_of(byte));
    const std::uint32_t sign = 1u << (codec.bits() - 1);
#pragma unroll
    for (int q = 0; q < kWeights / 4; ++q) {
      std::uint32_t four = 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) four |= grid.code(cell.magnitudes[4 * q + i] * reciprocal) << (8 * i);
      const std::uint32_t signs = cell.signs >> (4 * q) & 0xFu;  // bit i to byte i
      bytes_[q] = four | (signs * 0x00204081u & 0x01010101u) * sign;
    }
#pragma unroll
    for (int q = kWeights / 4; q < 8; ++q) bytes_[q] = 0;
  }

  // Gives thread t codes [32 t, 32 t + 32) of the cell. All lanes of the warp call it; `staged` holds the
  // words of this cell.
  __device__ void exchange(int thread, std::uint32_t* staged) {
    if constexpr (kThreads > 1) {
      __syncwarp();
#pragma unroll
      for (int q = 0; q < kWeights / 4; ++q) {
        if constexpr (kThreads == 2) {
          auto* halves = reinterpret_cast<std::uint16_t*>(staged) + thread;
          halves[4 * q] = static_cast<std::uint16_t>(bytes_[q]);
          halves[4 * q + 2] = static_cast<std::uint16_t>(bytes_[q] >> 16);
        } else {
          auto* codes = reinterpret_cast<std::uint8_t*>(staged) + thread;
#pragma unroll
          for (int i = 0; i < 4; ++i)
            codes[4 * (4 * q + i)] = static_cast<std::uint8_t>(bytes_[q] >> (8 * i));
        }
      }
      __syncwarp();
#pragma unroll
      for (int q = 0; q < 8; ++q) bytes_[q] = staged[8 * thread + q];
    }
  }

  // After exchange(): stores what belongs to this thread of a cell of small blocks, or of a row of
  // `row_bytes`.
  __device__ void store_block(int bits, int thread, std::uint8_t* cell) const {
    store_codes<kWeights == 16>(bits, bytes_, cell + 4 * bits * thread);
  }
  __device__ void store_row(int bits, int thread, std::uint64_t row_bytes, std::uint8_t* row) const {
    const auto begin = static_cast<unsigned>(4 * bits * thread);
    if (begin < row_bytes) store_codes<false>(bits, bytes_, row + begin);
  }

 private:
  std::uint32_t bytes_[8];
};

}  // namespace afp::kernels
