// Codes of weights under given scales, packed.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

// Backend::encode. Places are the piece's own: index 0 is its first block, code byte.
struct Encode {
  DevicePiece piece;
  BlockCodec codec;
  const float* tensor_scale;   // in device memory, in place of the codec's; or null
  const std::uint8_t* scales;  // bytes of the piece's blocks; of a tensor block its one byte
  std::uint8_t* codes;         // faster where aligned to 16 bytes, as the weights
  // From about twice as many on, blocks encode several tiles of 8192 weights each.
  std::uint32_t many_blocks = 4096;
};
cudaError_t encode(const Encode& task, cudaStream_t stream);

}  // namespace afp::kernels
