// The search for the scales of a row of several cells.
#pragma once

#include "host/cpu/kernels.hpp"

namespace afp::cpu {

// `row`: all cells of one row of the piece's grid. Sets a scale byte for each candidate, where bytes are
// wanted
// (`scales` is not empty), and adds to the sums of each.
void search_row(const WeightPiece& piece, CellRange row, std::span<const TensorCodec> candidates,
                std::span<std::uint8_t* const> scales, std::span<StripSums* const> sums);

}  // namespace afp::cpu
