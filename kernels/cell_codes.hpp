// Codes of a cell that threads hold, packed and stored.
#pragma once

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/code_rounding.hpp"
#include "kernels/device.hpp"
#include "kernels/held_cell.hpp"

namespace afp::kernels {

// 32 codes, four in the low bits of each, to kBits words.
template <int kBits>
__device__ inline void pack_words(const std::uint32_t (&fours)[8], std::uint32_t (&words)[kBits]) {
#pragma unroll
  for (int w = 0; w < kBits; ++w) words[w] = 0;
#pragma unroll
  for (int q = 0; q < 8; ++q) {
    const int bit = 4 * kBits * q, word = bit / 32, shift = bit % 32;
    words[word] |= fours[q] << shift;
    if (shift + 4 * kBits > 32) words[word + 1] |= fours[q] >> (32 - shift);
  }
}

// Stores 32 codes, or of them the first 16 (kHalf), in words as wide as their alignment allows: `out` is
// aligned like a multiple of their size.
template <int kBits, bool kHalf>
__device__ inline void store_codes(const std::uint32_t (&fours)[8], std::uint8_t* out) {
  std::uint32_t words[kBits];
  pack_words<kBits>(fours, words);
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
__device__ inline void store_codes(int bits, const std::uint32_t (&fours)[8], std::uint8_t* out) {
  switch (bits) {
    case 2:
      return store_codes<2, kHalf>(fours, out);
    case 3:
      return store_codes<3, kHalf>(fours, out);
    case 4:
      return store_codes<4, kHalf>(fours, out);
    case 5:
      return store_codes<5, kHalf>(fours, out);
    case 6:
      return store_codes<6, kHalf>(fours, out);
    case 7:
      return store_codes<7, kHalf>(fours, out);
    default:
      return store_codes<8, kHalf>(fours, out);
  }
}

// What encoding under a BlockCodec needs, made by the host.
struct CellCoding {
  CodeRounding roundings[2];
  CodePacking packing;

  static CellCoding of(const BlockCodec& codec) {
    return {{CodeRounding::of(codec.formats[0]), CodeRounding::of(codec.formats[codec.format_count - 1])},
            CodePacking::of(codec.bits())};
  }
};

// The codes of a cell, a byte each until they are stored.
template <int kWeights, int kThreads>
class CellCodes {
 public:
  // Shared memory for exchange(), in words: one more than a cell fills, against bank conflicts.
  static constexpr int kStagedWords = kThreads == 1 ? 0 : kWeights * kThreads / 4 + 1;

  // Codes under the scale with this byte.
  __device__ CellCodes(const HeldCell<kWeights, kThreads>& cell, const BlockCodec& codec,
                       const CellCoding& coding, int exponent, std::uint32_t byte)
      : packing_(coding.packing) {
    // |w| * r is magnitude * (r * 2^exponent), rounded alike; that factor is exact.
    const float reciprocal = codec.reciprocal(byte) * exp2_int(exponent);
    const CodeRounding rounding =  // the same twice where there is one Format
        choose(coding.roundings[0], coding.roundings[1], (byte & kUe4m3Alternative) != 0);
    // The sign of weight 4 q + i in bit 8 i + q of the cell's goes to the top bit of a code in byte i.
    const std::uint32_t signs =
        __funnelshift_l(cell.signs, cell.signs, static_cast<unsigned>(codec.bits() - 1));
#pragma unroll
    for (int q = 0; q < kWeights / 4; ++q) {
      const float four[4] = {cell.magnitudes[4 * q], cell.magnitudes[4 * q + 1], cell.magnitudes[4 * q + 2],
                             cell.magnitudes[4 * q + 3]};
      bytes_[q] = code_magnitudes(four, reciprocal, rounding) |
                  (__funnelshift_r(signs, signs, static_cast<unsigned>(q)) & packing_.sign_bits);
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
    std::uint32_t fours[8];
    pack(fours);
    store_codes<kWeights == 16>(bits, fours, cell + 4 * bits * thread);
  }
  __device__ void store_row(int bits, int thread, std::uint64_t row_bytes, std::uint8_t* row) const {
    const auto begin = static_cast<unsigned>(4 * bits * thread);
    if (begin >= row_bytes) return;
    std::uint32_t fours[8];
    pack(fours);
    store_codes<false>(bits, fours, row + begin);
  }

 private:
  __device__ void pack(std::uint32_t (&fours)[8]) const {
#pragma unroll
    for (int q = 0; q < 8; ++q) fours[q] = pack_four(bytes_[q], packing_);
  }

  const CodePacking& packing_;
  std::uint32_t bytes_[8];
};

}  // namespace afp::kernels
