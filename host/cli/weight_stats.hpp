// What `afp inspect --stats` reads out of the weights, in pieces of bounded size.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "afp/backend.hpp"
#include "afp/checkpoint.hpp"
#include "afp/packed_checkpoint.hpp"

namespace afp::cli {

// Called after every piece with the bytes it took from the file; what it throws ends the reading.
using PieceRead = std::function<void(std::uint64_t bytes)>;

// Nothing for tensors that hold something other than BF16, F16 or F32.
std::optional<Extent> weight_stats(const Backend& backend, const Checkpoint& checkpoint,
                                   const CheckpointTensor& tensor, const PieceRead& piece_read);

// Of the values that a packed tensor decodes to.
Extent packed_weight_stats(const Backend& backend, const Checkpoint& checkpoint, const PackedEntry& entry,
                           const PieceRead& piece_read);

}  // namespace afp::cli
