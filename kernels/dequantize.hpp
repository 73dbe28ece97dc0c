// Packed codes to weights.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/device_piece.hpp"

namespace afp::kernels {

// Backend::dequantize: any range of cells. Places are the range's own.
struct Dequantize {
  BlockGrid grid;
  CellRange cells;
  BlockCodec codec;            // tensor_scale: any positive number
  const float* tensor_scale;   // in device memory, in place of the codec's; or null
  const std::uint8_t* scales;  // bytes of the range's blocks; of a tensor block its one byte
  const std::uint8_t* codes;
  DType dtype;         // of the weights: BF16, F16 or F32
  std::byte* weights;  // row by row without gaps
};
cudaError_t dequantize(const Dequantize& task, cudaStream_t stream);

}  // namespace afp::kernels
