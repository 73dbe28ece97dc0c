// Codes to values, four at a time: a code's magnitude in the place of exponent and mantissa of a float32 is
// its value times 2^(bias - 127), also where exponent field 0 makes both subnormal. One exact multiplication
// puts that right: what decode in afp/codec.hpp gives.
#pragma once

#include "afp/block_search.hpp"
#include "kernels/device.hpp"

namespace afp::kernels {

// A Format's numbers.
struct CodeValues {
  std::uint32_t mask;  // of sign and magnitude in a float32
  std::int32_t shift;  // from the top of a register to there
  float unbias;        // 2^(127 - bias)
  float largest_value;

  static CodeValues of(Format format) {
    return {0x80000000u | format.max_magnitude() << (23 - format.mantissa_bits), 8 - format.exponent_bits,
            exp2_int(127 - format.bias()), format.max_value()};
  }

  // `code` in the highest bits, anything below.
  __device__ float value(std::uint32_t code) const {
    return bits_float(static_cast<std::uint32_t>(static_cast<std::int32_t>(code) >> shift) & mask) * unbias;
  }
};

__device__ inline CodeValues choose(const CodeValues& first, const CodeValues& second, bool is_second) {
  return {is_second ? second.mask : first.mask, is_second ? second.shift : first.shift,
          is_second ? second.unbias : first.unbias, is_second ? second.largest_value : first.largest_value};
}

// The scale of a block as weights are multiplied by it, before the tensor's.
struct BlockScaleBytes {
  bool is_e8m0;
  bool is_pair;

  __device__ float scale(std::uint32_t byte) const {
    return is_e8m0 ? e8m0_value(byte) : ue4m3_value(byte & 0x7Fu);
  }
  __device__ bool is_second(std::uint32_t byte) const { return is_pair && (byte & kUe4m3Alternative) != 0; }
};

}  // namespace afp::kernels
