// The one sentence about weights that are not numbers.
#pragma once

#include <cstdint>
#include <string>

#include "afp/error.hpp"

namespace afp {

inline void throw_if_nonfinite(std::uint64_t count, const std::string& tensor) {
  if (count == 0) return;
  throw InputError("has " + std::to_string(count) + " NaN or infinite " + (count == 1 ? "value" : "values") +
                       "; expected finite weights (a tensor that is kept may have them)",
                   "", tensor);
}

}  // namespace afp
