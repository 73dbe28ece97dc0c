// PackedTensor: one quantized tensor in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "afp/block_grid.hpp"
#include "afp/encoding.hpp"
#include "afp/tensor.hpp"

namespace afp {

struct PackedTensor {
  TensorInfo source;
  Encoding encoding;
  float tensor_scale = 1.0f;         // of ue4m3
  std::vector<std::uint8_t> codes;   // as BlockGrid lays them out
  std::vector<std::uint8_t> scales;  // one byte a block
  double squared_error = 0.0;
  double signal = 0.0;

  BlockGrid grid() const { return BlockGrid(encoding.block, encoding.bits(), source.shape); }
};

// Names of the tensors that stand beside the codes in a packed checkpoint.
inline std::string scales_name(const std::string& name) {
  return name + "_scale";
}
inline std::string tensor_scale_name(const std::string& name) {
  return name + "_scale_2";
}

// Shape of the code tensor, [rows, blocks, bytes], and of the scale tensor, [rows, blocks], in a packed
// checkpoint, and the bytes both take together with the tensor's scale. An empty tensor has no scales.
Shape codes_shape(const BlockGrid& grid);
Shape scales_shape(const BlockGrid& grid);
std::uint64_t packed_size(const Encoding& encoding, const Shape& shape);

}  // namespace afp
