// Random numbers as a function of where they are used: Philox4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", 2011). No state is carried, so who computes which of them in which order
// changes nothing. Host/device neutral.
#pragma once

#include <cstdint>

#include "afp/hd.hpp"

namespace afp {

struct PhiloxWords {
  std::uint32_t word[4];
};

AFP_HD constexpr PhiloxWords philox_words(PhiloxWords counter, std::uint32_t key_0, std::uint32_t key_1) {
  std::uint32_t a = counter.word[0], b = counter.word[1], c = counter.word[2], d = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = std::uint64_t{0xD2511F53} * a, right = std::uint64_t{0xCD9E8D57} * c;
    a = static_cast<std::uint32_t>(right >> 32) ^ b ^ key_0;
    b = static_cast<std::uint32_t>(right);
    c = static_cast<std::uint32_t>(left >> 32) ^ d ^ key_1;
    d = static_cast<std::uint32_t>(left);
    key_0 += 0x9E3779B9;  // of the golden ratio, and of the root of 3
    key_1 += 0xBB67AE85;
  }
  return {{a, b, c, d}};
}

// A word made a number below `count`, evenly but for one part in 2^32 a value.
AFP_HD constexpr std::uint32_t draw_below(std::uint32_t count, std::uint32_t word) {
  return static_cast<std::uint32_t>((std::uint64_t{word} * count) >> 32);
}

// A word made a number in (0, 1).
AFP_HD constexpr double draw_unit(std::uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

}  // namespace afp
