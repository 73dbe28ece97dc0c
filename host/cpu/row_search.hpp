// The search for the scale of a row of several cells.
#pragma once

#include "host/cpu/kernels.hpp"

namespace afp::cpu {

// `row`: all cells of one row of the piece's grid. Sets the scale byte and adds to the sums.
void search_row(const WeightPiece& piece, CellRange row, const TensorCodec& codec, std::uint8_t& scale,
                StripSums& sums);

}  // namespace afp::cpu
