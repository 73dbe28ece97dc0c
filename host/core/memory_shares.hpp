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
  // `pieces_under_way` and `preferred_piece_bytes`: as the backend has it.
  MemoryShares(std::uint64_t budget, std::size_t pieces_under_way, std::uint64_t preferred_piece_bytes) {
    constexpr std::uint64_t kSmallest = 64 << 20;
    if (budget < kSmallest)
      throw UsageError("a memory budget of " + std::to_string(budget) +
                       " bytes is too small; expected at least " + std::to_string(kSmallest));
    constexpr std::uint64_t kSmallestPiece = 256 << 10;
    pieces = pieces_under_way;
    piece_bytes =
        std::clamp(budget / 16 / pieces, kSmallestPiece, std::max(kSmallestPiece, preferred_piece_bytes));
    resident_bytes = budget / 4;
  }

  std::uint64_t piece_bytes;     // of source data in a piece, about
  std::uint64_t resident_bytes;  // of source data kept between passes
  std::size_t pieces;            // under way at a time
};

}  // namespace afp
