// Weights to codes, four at a time, in as few instructions as bits allow: what encode in afp/codec.hpp gives.
//
// Let y = |w| r, clipped to the largest value, and b its binade, at least that of the smallest normal value.
// Steps of b are 2^-M b wide; adding 2^23 of them to y rounds it, ties to even, and leaves the number of
// steps in the low bits of the sum. The code is the number of steps plus 2^M for each binade below b: where
// 2^23 steps and these are added at once, the code itself is in the low byte of the sum, and even codes win
// ties whatever M. That number has exponent(b) + 23 - M for its exponent and the binades times 2^M for its
// mantissa: one multiplication by 2^23 + 2^M makes both out of exponent(b).
//
// That is six instructions a weight, half of them for the multiply-add pipes, which are twice as wide as the
// integer pipe. What follows is done to four codes in a register at once.
#pragma once

#include "afp/block_search.hpp"
#include "kernels/device.hpp"

namespace afp::kernels {

// A Format's numbers.
struct alignas(16) CodeRounding {
  float max_value;
  std::uint32_t min_exponent;  // exponent field of the smallest normal value as float32
  std::uint32_t factor;        // 2^23 + 2^M
  std::uint32_t offset;        // so that exponent * factor + offset is the addend in bits

  static CodeRounding of(Format format) {
    const auto m = static_cast<std::uint32_t>(format.mantissa_bits);
    const auto smallest = static_cast<std::uint32_t>(format.min_normal_exponent() + 127);
    return {format.max_value(), smallest, (1u << 23) + (1u << m), ((23 - m) << 23) - (smallest << m)};
  }
};

// The first or the second, member by member: registers, where a reference would be an address.
__device__ inline CodeRounding choose(const CodeRounding& first, const CodeRounding& second, bool is_second) {
  return {is_second ? second.max_value : first.max_value,
          is_second ? second.min_exponent : first.min_exponent, is_second ? second.factor : first.factor,
          is_second ? second.offset : first.offset};
}

// Numbers of N alone.
struct CodePacking {
  std::uint32_t sign_bits;      // of four codes in bytes
  std::uint32_t odd_factor;     // codes 1 and 3 of four bytes move next to 0 and 2: 2^N - 2^8
  std::uint32_t upper_factor;   // and both to the two below: 2^2N - 2^16
  std::uint32_t second_factor;  // four codes above four others: 2^4N; 0 for N = 8

  static CodePacking of(int bits) {
    return {0x01010101u << (bits - 1), (1u << bits) - (1u << 8), (1u << (2 * bits)) - (1u << 16),
            bits == 8 ? 0 : 1u << (4 * bits)};
  }
};

// Bytes 0xFF or 0x00, by the signs of the bytes 1, 3, 5, 7 of b:a, or of four floats.
__device__ inline std::uint32_t signs_of_halves(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  std::uint32_t signs;
  asm("prmt.b32 %0, %1, %2, 0xFDB9;" : "=r"(signs) : "r"(a), "r"(b));
  return signs;
#else
  return __byte_perm(a, b, 0xFDB9);
#endif
}
__device__ inline std::uint32_t signs_of_floats(const float (&w)[4]) {
  return signs_of_halves(__byte_perm(float_bits(w[0]), float_bits(w[1]), 0x7030),
                         __byte_perm(float_bits(w[2]), float_bits(w[3]), 0x7030));
}

// The magnitudes of the codes of four weights, a byte each.
__device__ inline std::uint32_t code_magnitudes(const float (&w)[4], float reciprocal,
                                                const CodeRounding& rounding) {
  std::uint32_t sum[4];
  for (int i = 0; i < 4; ++i) {
    const float y = fminf(fabsf(w[i]) * reciprocal, rounding.max_value);
    const std::uint32_t exponent = max(float_bits(y) >> 23, rounding.min_exponent);
    sum[i] = float_bits(y + bits_float(exponent * rounding.factor + rounding.offset));
  }
  return __byte_perm(__byte_perm(sum[0], sum[1], 0x0040), __byte_perm(sum[2], sum[3], 0x0040), 0x5410);
}

// Four codes, a byte each, to the low 4 N bits.
__device__ inline std::uint32_t pack_four(std::uint32_t codes, const CodePacking& packing) {
  codes += __byte_perm(codes, 0, 0x4341) * packing.odd_factor;
  return codes + (codes >> 16) * packing.upper_factor;
}

// Four weights to four codes, in the low 4 N bits. `signs` as above.
__device__ inline std::uint32_t encode_four(const float (&w)[4], std::uint32_t signs, float reciprocal,
                                            const CodeRounding& rounding, const CodePacking& packing) {
  return pack_four(code_magnitudes(w, reciprocal, rounding) | (signs & packing.sign_bits), packing);
}

}  // namespace afp::kernels
