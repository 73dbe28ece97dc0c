// DevicePiece: what WeightPiece is to backends, in device memory and in plain values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/block_grid.hpp"
#include "afp/codec.hpp"
#include "afp/piece.hpp"

namespace afp::kernels {

// `weights` is aligned to the dtype; kernels are faster where it is aligned to 16 bytes.
struct DevicePiece {
  BlockGrid grid;
  CellRange cells;
  DType dtype;
  const std::byte* weights;

  AFP_HD std::uint64_t first_weight() const { return grid.weight_begin(cells.first); }
  AFP_HD std::uint64_t weight_count() const {
    return cells.count == 0 ? 0 : grid.weight_begin(cells.first + cells.count) - first_weight();
  }
};

AFP_HD constexpr int weight_bytes(DType dtype) {
  return dtype == DType::F32 ? 4 : 2;
}

// Weight `index` behind `weights`, as float32.
AFP_HD inline float load_weight(DType dtype, const std::byte* weights, std::uint64_t index) {
  if (dtype == DType::F32) return reinterpret_cast<const float*>(weights)[index];
  const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(weights)[index];
  return dtype == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
}

}  // namespace afp::kernels
