// What cannot be quantized, said in the same words wherever it is met.
#pragma once

#include <cstdint>
#include <string>

#include "afp/checkpoint.hpp"
#include "afp/error.hpp"
#include "afp/packed_checkpoint.hpp"

namespace afp {

// Throws InputError when `nonfinite`, the number of NaN and infinite weights of the tensor, is not 0.
inline void require_finite(std::uint64_t nonfinite, const std::string& tensor) {
  if (nonfinite == 0) return;
  throw InputError("has " + std::to_string(nonfinite) + " NaN or infinite " +
                       (nonfinite == 1 ? "value" : "values") +
                       "; expected finite weights (a tensor that is kept may have them)",
                   "", tensor);
}

// Throws InputError for a checkpoint that is packed.
inline void require_plain(const Checkpoint& input) {
  if (is_packed_checkpoint(input.folder()))
    throw InputError("is packed already; afp dequantize makes it plain again", input.path().string());
}

}  // namespace afp
