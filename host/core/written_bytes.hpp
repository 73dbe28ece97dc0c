// How large the weight files will be that a plan leads to.
#pragma once

#include <cstdint>

#include "afp/checkpoint.hpp"
#include "afp/plan.hpp"

namespace afp {

// Bytes of all weight files, their headers included, when `plan` (of every tensor of `input`) is carried out.
std::uint64_t written_file_bytes(const Checkpoint& input, const Plan& plan);

}  // namespace afp
