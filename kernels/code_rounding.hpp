// Weights to codes, four at a time, in as few instructions as bits allow: what encode_magnitude in
// afp/codec.hpp gives, computed so that most of the work is on the multiply-add pipe, which is twice as wide
// as the integer pipe, and so that what follows the rounding is done to four codes at once.
//
// Two ways to round y = |w| r, clipped to the largest value:
//
//   few binades (E <= 2)   The code is a concave function of y, of three straight pieces: the least of
//                          y 2^M, y 2^M / 2 + 2^M, y 2^M / 4 + 2 2^M. Adding 2^23 to each rounds it to an
//                          integer, ties to even; rounding is monotone, so the least of the rounded is right.
//                          The code lies in the low byte. E = 1 has the first piece alone.
//   any                    t = y + b 2^(23 - M), b the binade of y, at least the smallest normal value: steps
//                          of the binade in the low byte of t, the exponent in its upper half, and the code
//                          is steps + (exponent - that of the smallest normal value) 2^M. Without mantissa
//                          bits the exponent's parity decides ties: see Rounding in afp/block_search.hpp; the
//                          step that an even exponent adds is taken off by clearing the exponent's last bit,
//                          which is odd in t.
#pragma once

#include "afp/block_search.hpp"
#include "kernels/device.hpp"

namespace afp::kernels {

enum class RoundingKind {
  few_binades,  // all Formats have E <= 2
  one_format,   // one Format, M >= 1
  any,          // one or two Formats of any kind
};

inline RoundingKind rounding_kind(const BlockCodec& codec) {
  const Format a = codec.formats[0], b = codec.formats[codec.format_count - 1];
  if (a.exponent_bits <= 2 && b.exponent_bits <= 2) return RoundingKind::few_binades;
  return codec.format_count == 1 && a.mantissa_bits != 0 ? RoundingKind::one_format : RoundingKind::any;
}

// A Format's numbers for both ways.
struct CodeRounding {
  float max_value;
  float second_offset, third_offset;  // of the second and third piece, 2^23 included
  std::uint32_t min_normal;           // bits
  float steps_of_odd, steps_of_even;  // as in Rounding
  std::uint32_t exponent_mask;        // of a pair of upper halves of t
  std::uint32_t exponent_factor;      // brings a half's exponent to bit 8 + M of it ...
  std::uint32_t exponent_offset;      // ... where adding this to a pair leaves it relative

  static CodeRounding of(Format format) {
    const Rounding rounding(format);
    const int m = format.mantissa_bits;
    const bool one_piece = format.exponent_bits == 1;
    const auto offset = [](int code) { return static_cast<float>((1 << 23) + code); };
    // E = 1: beyond every code, so that the first piece is the least.
    const int beyond = 1 << (format.bits() - 1);
    const int smallest = format.min_normal_exponent() + 127 + 23 - m;  // exponent of t
    const std::uint32_t relative = (0u - (static_cast<std::uint32_t>(smallest) << (m + 8))) & 0xFFFFu;
    return {rounding.max_value,
            offset(one_piece ? beyond : 1 << m),
            offset(one_piece ? beyond : 2 << m),
            float_bits(rounding.min_normal),
            rounding.steps_of_odd,
            rounding.steps_of_even,
            rounding.depends_on_parity() ? 0xFF7FFF7Fu : ~0u,
            2u << m,
            relative << 16 | relative};
  }
};

// The first or the second, member by member: registers, where a reference would be an address.
__device__ inline CodeRounding choose(const CodeRounding& first, const CodeRounding& second, bool is_second) {
  return {is_second ? second.max_value : first.max_value,
          is_second ? second.second_offset : first.second_offset,
          is_second ? second.third_offset : first.third_offset,
          is_second ? second.min_normal : first.min_normal,
          is_second ? second.steps_of_odd : first.steps_of_odd,
          is_second ? second.steps_of_even : first.steps_of_even,
          is_second ? second.exponent_mask : first.exponent_mask,
          is_second ? second.exponent_factor : first.exponent_factor,
          is_second ? second.exponent_offset : first.exponent_offset};
}

// Numbers of N alone.
struct CodePacking {
  float piece_factors[3];       // 2^M of E2M(N-3), its half and quarter; E1M(N-2) has the same first piece
  std::uint32_t sign_bits;      // of four codes in bytes
  std::uint32_t odd_factor;     // codes 1 and 3 of four bytes move next to 0 and 2: 2^N - 2^8
  std::uint32_t upper_factor;   // and both to the two below: 2^2N - 2^16
  std::uint32_t second_factor;  // four codes above four others: 2^4N; 0 for N = 8

  static CodePacking of(int bits) {
    return {{exp2_int(bits - 3), exp2_int(bits - 4), exp2_int(bits - 5)},
            0x01010101u << (bits - 1),
            (1u << bits) - (1u << 8),
            (1u << (2 * bits)) - (1u << 16),
            bits == 8 ? 0 : 1u << (4 * bits)};
  }
};

// The bytes 0xFF or 0x00, by the signs of the bytes 1, 3, 5, 7 of b:a, or of byte 3 of four registers.
__device__ inline std::uint32_t signs_of_halves(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  std::uint32_t signs;
  asm("prmt.b32 %0, %1, %2, 0xFDB9;" : "=r"(signs) : "r"(a), "r"(b));
  return signs;
#else
  return __byte_perm(a, b, 0xFDB9);
#endif
}
__device__ inline std::uint32_t signs_of_words(const float (&w)[4]) {
  return signs_of_halves(__byte_perm(float_bits(w[0]), float_bits(w[1]), 0x7030),
                         __byte_perm(float_bits(w[2]), float_bits(w[3]), 0x7030));
}

// Magnitudes of four codes in four bytes. y is clipped already.
__device__ inline std::uint32_t magnitudes_of_few(const float (&y)[4], const CodeRounding& rounding,
                                                  const CodePacking& packing) {
  std::uint32_t code[4];
  for (int i = 0; i < 4; ++i) {
    // The products are exact, or too small to matter.
    const float first = add_exact_product(0x1p23f, y[i], packing.piece_factors[0]);
    const float second = add_exact_product(rounding.second_offset, y[i], packing.piece_factors[1]);
    const float third = add_exact_product(rounding.third_offset, y[i], packing.piece_factors[2]);
    code[i] = float_bits(fminf(fminf(second, third), first));
  }
  return __byte_perm(__byte_perm(code[0], code[1], 0x0040), __byte_perm(code[2], code[3], 0x0040), 0x5410);
}

template <bool kParity>
__device__ inline std::uint32_t magnitudes_of_any(const float (&y)[4], const CodeRounding& rounding) {
  std::uint32_t t[4];
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t binade = max(float_bits(y[i]) & 0x7F800000u, rounding.min_normal);
    const float steps =
        kParity && (binade & 0x00800000u) == 0 ? rounding.steps_of_even : rounding.steps_of_odd;
    t[i] = float_bits(add_exact_product(y[i], bits_float(binade), steps));
  }
  std::uint32_t pair[2];  // codes in bytes 1 and 3
  for (int i = 0; i < 2; ++i) {
    std::uint32_t exponents = __byte_perm(t[2 * i], t[2 * i + 1], 0x7632);
    if (kParity) exponents &= rounding.exponent_mask;
    const std::uint32_t steps = __byte_perm(t[2 * i], t[2 * i + 1], 0x5410);
    // What the lower half overflows by stays in the upper half's low byte.
    pair[i] = steps * 256 + (exponents * rounding.exponent_factor + rounding.exponent_offset);
  }
  return __byte_perm(pair[0], pair[1], 0x7531);
}

// Four weights to four codes, in the low 4 N bits. `signs` as above.
template <RoundingKind kind>
__device__ inline std::uint32_t encode_four(const float (&w)[4], std::uint32_t signs, float reciprocal,
                                            const CodeRounding& rounding, const CodePacking& packing) {
  float y[4];
  for (int i = 0; i < 4; ++i) y[i] = fminf(fabsf(w[i]) * reciprocal, rounding.max_value);
  std::uint32_t codes = signs & packing.sign_bits;
  if constexpr (kind == RoundingKind::few_binades)
    codes |= magnitudes_of_few(y, rounding, packing);
  else
    codes |= magnitudes_of_any<kind == RoundingKind::any>(y, rounding);
  codes += __byte_perm(codes, 0, 0x4341) * packing.odd_factor;
  return codes + (codes >> 16) * packing.upper_factor;
}

}  // namespace afp::kernels
