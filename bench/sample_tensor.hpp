// The tensor that the backend's benchmarks work on: 4096 x 4096 bf16 weights, 32 MB, more than a core's own
// caches hold.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/backend.hpp"
#include "afp/encoding.hpp"
#include "afp/scale.hpp"
#include "weights.hpp"

namespace afp::bench {

inline constexpr std::uint64_t kRows = 4096;
inline constexpr std::uint64_t kColumns = 4096;
inline constexpr std::uint64_t kWeights = kRows * kColumns;
inline constexpr std::uint64_t kSeed = 20240229;

inline std::span<const std::byte> sample_bytes() {
  static const std::vector<std::uint16_t> weights = make_rows(Tails::heavy, kSeed, kRows, kColumns);
  return std::as_bytes(std::span(weights));
}

// The first `rows` rows of the sample under an Encoding, and room for what a backend makes of them.
struct EncodedSample {
  explicit EncodedSample(const Encoding& encoding, std::uint64_t rows = kRows)
      : grid(encoding.block, encoding.bits(), {rows, kColumns}),
        codec{encoding, 1.0f},
        scales(grid.scale_count()),
        sums(strip_count(grid, cells())),
        codes(grid.code_bytes()) {}

  CellRange cells() const { return {0, grid.cells()}; }
  WeightPiece piece() const { return {grid, cells(), DType::BF16, sample_bytes().data()}; }
  std::span<const std::byte> bytes() const {
    return sample_bytes().first(grid.weights() * sizeof(std::uint16_t));
  }

  // ue4m3's scale of the tensor follows from its largest weight.
  void set_tensor_scale(const Backend& backend) {
    const Encoding& encoding = codec.encoding;
    if (encoding.scale != ScaleKind::ue4m3) return;
    codec.tensor_scale = ue4m3_tensor_scale(encoding.smallest_max_value(), backend.extent(piece()).absmax);
  }

  BlockGrid grid;
  TensorCodec codec;
  std::vector<std::uint8_t> scales;
  std::vector<StripSums> sums;
  std::vector<std::uint8_t> codes;
};

}  // namespace afp::bench
