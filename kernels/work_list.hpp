// WorkList: one launch over thousands of tensors. Each is cut into chunks; chunk i of the launch is chunk
// i - first_chunk[t] of the tensor t with first_chunk[t] <= i < first_chunk[t + 1].
#pragma once

#include <cstdint>

#include "afp/hd.hpp"

namespace afp::kernels {

struct WorkList {
  const std::uint64_t* first_chunk;  // tensors + 1 of them, ascending from 0; in device memory
  std::uint32_t tensors;

  AFP_HD std::uint64_t chunks() const { return first_chunk[tensors]; }
  // The tensor of a chunk, by bisection.
  AFP_HD std::uint32_t tensor_of(std::uint64_t chunk) const {
    std::uint32_t low = 0, high = tensors;
    while (high - low > 1) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (first_chunk[middle] <= chunk)
        low = middle;
      else
        high = middle;
    }
    return low;
  }
};

}  // namespace afp::kernels
