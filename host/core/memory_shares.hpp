// How the memory of a run is divided among pieces and tensors. All follows from the budget, and nothing of it
// changes a result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "afp/error.hpp"

namespace afp {

struct MemoryShares {
  MemoryShares(std::uint64_t budget, int threads) {
    constexpr std::uint64_t kSmallest = 64 << 20;
    if (budget < kSmallest)
      throw UsageError("a memory budget of " + std::to_string(budget) +
                       " bytes is too small; expected at least " + std::to_string(kSmallest));
    pieces = static_cast<std::size_t>(threads) + 2;
    piece_bytes = std::clamp<std::uint64_t>(budget / 16 / pieces, 256 << 10, 1 << 20);
    resident_bytes = budget / 4;
  }

  std::uint64_t piece_bytes;     // of source data in a piece, about
  std::uint64_t resident_bytes;  // of source data kept between passes
  std::size_t pieces;            // under way at a time
};

}  // namespace afp
