// How much work the exact choice of scales is by its definition (afp/scale.hpp), for candidates a second.
#pragma once

#include <cstdint>

#include "afp/backend.hpp"

namespace afp::bench {

// Pairs of a weight and a scale that the scan visits over all blocks of a BF16 piece of small blocks and
// both Formats of the Encoding, counted one weight at a time. Vector code may look at more.
std::uint64_t count_weight_candidates(const WeightPiece& piece, const TensorCodec& codec);

// Scales that the scan visits a weight of the sample: the mean over its first rows, which are like the
// others; counted once for each Encoding.
double scales_per_weight(const TensorCodec& codec);

}  // namespace afp::bench
