// Packing: N-bit codes in a row of bytes without padding. Code i takes bits [i*N, (i+1)*N) of the
// row read as one little-endian number, so 32 codes are exactly N 32-bit words:
//
//     N = 3    byte 0        byte 1        byte 2
//              c2 c2 c1 c1 c1 c0 c0 c0 | c5 c4 c4 c4 c3 c3 c3 c2 | c7 c7 c7 c6 c6 c6 c5 c5
//              bit 7 ........... bit 0
//
// Host/device neutral, one code at a time: the definition that vector code is tested against.
#pragma once

#include <cstdint>

#include "afp/hd.hpp"

namespace afp {

// Bytes that `count` codes of `bits` bits take; the bits after the last code are zero.
AFP_HD constexpr std::uint64_t packed_bytes(std::uint64_t count, int bits) {
  const std::uint64_t n = static_cast<std::uint64_t>(bits);
  return count / 8 * n + (count % 8 * n + 7) / 8;
}

// Code `index` of the row that begins at `row`.
AFP_HD constexpr std::uint32_t unpack_code(const std::uint8_t* row, std::uint64_t index, int bits) {
  const std::uint64_t first_bit = index * static_cast<std::uint64_t>(bits);
  const std::uint64_t byte = first_bit / 8;
  const int shift = static_cast<int>(first_bit % 8);
  std::uint32_t window = row[byte];
  if (shift + bits > 8) window |= static_cast<std::uint32_t>(row[byte + 1]) << 8;
  return (window >> shift) & ((1u << bits) - 1);
}

// Writes code `index` into a row whose bits were zero there.
AFP_HD constexpr void pack_code(std::uint8_t* row, std::uint64_t index, int bits, std::uint32_t code) {
  const std::uint64_t first_bit = index * static_cast<std::uint64_t>(bits);
  const std::uint64_t byte = first_bit / 8;
  const int shift = static_cast<int>(first_bit % 8);
  const std::uint32_t window = code << shift;
  row[byte] = static_cast<std::uint8_t>(row[byte] | (window & 0xFF));
  if (shift + bits > 8) row[byte + 1] = static_cast<std::uint8_t>(row[byte + 1] | (window >> 8));
}

}  // namespace afp
