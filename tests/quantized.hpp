// A tensor taken through a backend, for the tests: buffers of exactly the size that the contract names,
// filled with rubbish beforehand, in one piece or cut between strips.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "afp/backend.hpp"
#include "afp/scale.hpp"
#include "sample.hpp"

namespace afp {

struct Tensor {
  Encoding encoding;
  Shape shape;
  sample::Weights weights;

  BlockGrid grid() const { return BlockGrid(encoding.block, encoding.bits(), shape); }
  TensorCodec codec() const {
    if (encoding.scale == ScaleKind::e8m0) return {encoding, 1.0f};
    float absmax = 0.0f, smallest_max = encoding.format.max_value();
    for (const float w : weights.values) absmax = std::max(absmax, std::fabs(w));
    if (encoding.alternative) smallest_max = std::min(smallest_max, encoding.alternative->max_value());
    return {encoding, ue4m3_tensor_scale(smallest_max, absmax)};
  }
  std::string text() const {
    return to_string(encoding) + " " + to_string(shape) + " " + std::string(dtype_name(weights.dtype));
  }
};

// The weights of each block, in order, from the shape alone.
inline std::vector<std::span<const float>> blocks_of(const Tensor& tensor) {
  const std::span<const float> all = tensor.weights.values;
  const std::size_t rows = tensor.shape.size() < 2 ? 1 : tensor.shape[0], columns = all.size() / rows;
  const Block block = tensor.encoding.block;
  const std::size_t size = block.kind == BlockKind::small ? static_cast<std::size_t>(block.size)
                           : block.kind == BlockKind::row ? columns
                                                          : all.size();
  std::vector<std::span<const float>> blocks;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t row_end =
        block.kind == BlockKind::tensor ? all.size() : (begin / columns + 1) * columns;
    blocks.push_back(all.subspan(begin, std::min(size, row_end - begin)));
    begin += blocks.back().size();
  }
  return blocks;
}

// The double sums as bits, so that equal means identical.
inline std::vector<std::uint64_t> sum_bits(const std::vector<StripSums>& sums) {
  std::vector<std::uint64_t> bits(2 * sums.size());
  if (!sums.empty()) std::memcpy(bits.data(), sums.data(), sums.size() * sizeof(StripSums));
  return bits;
}

struct Quantized {
  std::vector<std::uint8_t> scales, codes;
  std::vector<StripSums> sums;

  friend bool operator==(const Quantized& a, const Quantized& b) {
    return a.scales == b.scales && a.codes == b.codes && sum_bits(a.sums) == sum_bits(b.sums);
  }
};

// How a tensor's cells are handed over: in pieces of `strips_per_piece` strips (0: one piece), the weights at
// an odd address if `unaligned`.
struct Cutting {
  std::uint64_t strips_per_piece = 0;
  bool unaligned = false;
};

// Calls body(piece, first strip, strips) for each piece; the piece's weights are a copy of their own, no byte
// more.
template <class Body>
void for_each_piece(const Tensor& tensor, const BlockGrid& grid, Cutting cutting, const Body& body) {
  const std::uint64_t per_strip = cells_per_strip(grid), strips = strip_count(grid, {0, grid.cells()});
  const std::uint64_t step =
      cutting.strips_per_piece == 0 ? std::max<std::uint64_t>(strips, 1) : cutting.strips_per_piece;
  const std::size_t width = static_cast<std::size_t>(dtype_bits(tensor.weights.dtype)) / 8;
  for (std::uint64_t strip = 0; strip < strips; strip += step) {
    const std::uint64_t first = strip * per_strip, last = std::min(grid.cells(), (strip + step) * per_strip);
    const std::size_t begin = grid.weight_begin(first) * width, end = grid.weight_begin(last) * width;
    const std::size_t shift = cutting.unaligned ? 1 : 0;
    std::vector<std::byte> copy(shift + end - begin);
    std::memcpy(copy.data() + shift, tensor.weights.bytes.data() + begin, end - begin);
    body(WeightPiece{grid, {first, last - first}, tensor.weights.dtype, copy.data() + shift}, strip,
         std::min(step, strips - strip));
  }
}

// The scales of a piece among those of the tensor, and its codes likewise.
template <class T>
std::span<T> part(std::vector<T>& all, std::uint64_t begin, std::uint64_t end) {
  return std::span<T>(all).subspan(begin, end - begin);
}
inline std::span<std::uint8_t> scales_of(const WeightPiece& piece, std::vector<std::uint8_t>& scales) {
  if (piece.cells.count == 0) return {};
  const std::uint64_t last = piece.cells.first + piece.cells.count - 1;
  return part(scales, piece.grid.scale_index(piece.cells.first), piece.grid.scale_index(last) + 1);
}
inline std::span<std::uint8_t> codes_of(const WeightPiece& piece, std::vector<std::uint8_t>& codes) {
  if (piece.cells.count == 0) return {};
  return part(codes, piece.grid.code_begin(piece.cells.first),
              piece.grid.code_begin(piece.cells.first + piece.cells.count));
}

inline Quantized rubbish(const BlockGrid& grid) {
  return {std::vector<std::uint8_t>(grid.scale_count(), 0xAA),
          std::vector<std::uint8_t>(grid.code_bytes(), 0xAA),
          std::vector<StripSums>(strip_count(grid, {0, grid.cells()}), {1e300, -1e300})};
}

inline Quantized quantize(const Backend& backend, const Tensor& tensor, Effort effort, Cutting cutting = {}) {
  const BlockGrid grid = tensor.grid();
  Quantized result = rubbish(grid);
  for_each_piece(tensor, grid, cutting,
                 [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
                   backend.quantize(piece, tensor.codec(), effort, scales_of(piece, result.scales),
                                    part(result.sums, strip, strip + strips), codes_of(piece, result.codes));
                 });
  return result;
}

// The same in the two steps, choose_scales under several candidates at once and encode under the one of the
// tensor.
inline Quantized choose_and_encode(const Backend& backend, const Tensor& tensor,
                                   std::span<const TensorCodec> others, Effort effort, Cutting cutting = {}) {
  const BlockGrid grid = tensor.grid();
  Quantized result = rubbish(grid);
  std::vector<TensorCodec> candidates(others.begin(), others.end());
  candidates.push_back(tensor.codec());
  for_each_piece(
      tensor, grid, cutting, [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
        std::vector<std::vector<std::uint8_t>> other_scales(
            others.size(), std::vector<std::uint8_t>(scales_of(piece, result.scales).size()));
        std::vector<std::vector<StripSums>> other_sums(others.size(), std::vector<StripSums>(strips));
        std::vector<std::span<std::uint8_t>> scales(other_scales.begin(), other_scales.end());
        std::vector<std::span<StripSums>> sums(other_sums.begin(), other_sums.end());
        scales.push_back(scales_of(piece, result.scales));
        sums.push_back(part(result.sums, strip, strip + strips));
        backend.choose_scales(piece, candidates, effort, scales, sums);
        backend.encode(piece, tensor.codec(), scales_of(piece, result.scales), codes_of(piece, result.codes));
      });
  return result;
}

inline std::vector<std::byte> dequantize(const Backend& backend, const Tensor& tensor,
                                         const Quantized& quantized, DType dtype, Cutting cutting = {}) {
  const BlockGrid grid = tensor.grid();
  Quantized input = quantized;
  std::vector<std::byte> all;
  for_each_piece(tensor, grid, cutting, [&](const WeightPiece& piece, std::uint64_t, std::uint64_t) {
    const std::uint64_t count =
        grid.weight_begin(piece.cells.first + piece.cells.count) - grid.weight_begin(piece.cells.first);
    const std::size_t shift = cutting.unaligned ? 1 : 0;
    std::vector<std::byte> out(shift + count * static_cast<std::size_t>(dtype_bits(dtype)) / 8,
                               std::byte{0xAA});
    // Codes no byte longer than they are.
    const std::span<std::uint8_t> code_part = codes_of(piece, input.codes);
    const std::vector<std::uint8_t> codes(code_part.begin(), code_part.end());
    backend.dequantize(grid, piece.cells, tensor.codec(), scales_of(piece, input.scales), codes, dtype,
                       std::span(out).subspan(shift));
    all.insert(all.end(), out.begin() + static_cast<std::ptrdiff_t>(shift), out.end());
  });
  return all;
}

}  // namespace afp
