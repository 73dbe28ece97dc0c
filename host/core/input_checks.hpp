// What no pipeline takes as its input, said in the same words everywhere.
#pragma once

#include "afp/checkpoint.hpp"
#include "afp/error.hpp"
#include "afp/packed_checkpoint.hpp"

namespace afp {

// Throws InputError for a checkpoint that is packed.
inline void require_plain(const Checkpoint& input) {
  if (is_packed_checkpoint(input.folder()))
    throw InputError("is packed already; afp dequantize makes it plain again", input.path().string());
}

}  // namespace afp
