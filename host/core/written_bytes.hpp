// How large the weight files will be that a plan leads to.
#pragma once

#include <cstdint>
#include <optional>

#include "afp/checkpoint.hpp"
#include "afp/plan.hpp"

namespace afp {

// Bytes of all weight files, their headers included, when `plan` (of every tensor of `input`) is carried out.
std::uint64_t written_file_bytes(const Checkpoint& input, const Plan& plan);

// The most that one tensor may add to them: its data, and its part of a header.
std::uint64_t most_written_bytes(const CheckpointTensor& tensor, const std::optional<Encoding>& encoding,
                                 std::uint64_t largest_offset);

}  // namespace afp
