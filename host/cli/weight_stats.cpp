// Bodies of weight_stats.hpp.
#include "host/cli/weight_stats.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "afp/block_grid.hpp"
#include "afp/error.hpp"

namespace afp::cli {
namespace {

constexpr std::uint64_t kPieceWeights = std::uint64_t{4} << 20;

// Of `count` consecutive weights, seen as one row.
Extent extent_of(const Backend& backend, DType dtype, const std::byte* weights, std::uint64_t count) {
  const BlockGrid row({BlockKind::tensor, 0}, kMaxBits, {count});
  return backend.extent({row, {0, row.cells()}, dtype, weights});
}

template <class Element>
std::vector<Element> read_range(const Checkpoint& checkpoint, const CheckpointTensor& tensor,
                                std::uint64_t begin, std::uint64_t end) {
  std::vector<Element> bytes(end - begin);
  checkpoint.read(tensor, begin, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace

std::optional<Extent> weight_stats(const Backend& backend, const Checkpoint& checkpoint,
                                   const CheckpointTensor& tensor, const PieceRead& piece_read) {
  if (tensor.dtype != DType::BF16 && tensor.dtype != DType::F16 && tensor.dtype != DType::F32)
    return std::nullopt;
  const auto width = static_cast<std::uint64_t>(dtype_bits(tensor.dtype)) / 8;
  const std::uint64_t weights = tensor.elements();
  std::vector<std::byte> buffer(std::min(weights, kPieceWeights) * width);
  Extent total;
  for (std::uint64_t begin = 0; begin < weights; begin += kPieceWeights) {
    const std::uint64_t count = std::min(kPieceWeights, weights - begin);
    const std::span<std::byte> piece(buffer.data(), count * width);
    checkpoint.read(tensor, begin * width, piece);
    total.merge(extent_of(backend, tensor.dtype, piece.data(), count));
    piece_read(piece.size());
  }
  return total;
}

Extent packed_weight_stats(const Backend& backend, const Checkpoint& checkpoint, const PackedEntry& entry,
                           const PieceRead& piece_read) {
  const CheckpointTensor& data = checkpoint.tensors()[entry.data];
  const CheckpointTensor& scales = checkpoint.tensors()[entry.scales];
  TensorCodec codec{*entry.encoding};
  if (entry.tensor_scale) {
    const std::vector<std::byte> bytes =
        read_range<std::byte>(checkpoint, checkpoint.tensors()[*entry.tensor_scale], 0, sizeof(float));
    std::memcpy(&codec.tensor_scale, bytes.data(), sizeof(float));
  }
  const BlockGrid grid(entry.encoding->block, entry.encoding->bits(), entry.source.shape);
  Extent total;
  if (grid.weights() == 0) return total;

  const std::uint64_t strip = cells_per_strip(grid);
  const std::uint64_t step = strip * std::max<std::uint64_t>(1, kPieceWeights / (strip * grid.cell_size));
  std::vector<std::byte> weights;
  for (std::uint64_t first = 0; first < grid.cells(); first += step) {
    const CellRange cells{first, std::min(step, grid.cells() - first)};
    const std::uint64_t end = cells.first + cells.count;
    const bool one_scale = grid.block.kind == BlockKind::tensor;
    const auto codes =
        read_range<std::uint8_t>(checkpoint, data, grid.code_begin(first), grid.code_begin(end));
    const auto scale_bytes = read_range<std::uint8_t>(
        checkpoint, scales, one_scale ? 0 : grid.scale_index(first), one_scale ? 1 : grid.scale_index(end));
    const std::uint64_t count = grid.weight_begin(end) - grid.weight_begin(first);
    weights.resize(count * sizeof(float));
    backend.dequantize(grid, cells, codec, scale_bytes, codes, DType::F32, weights);
    total.merge(extent_of(backend, DType::F32, weights.data(), count));
    piece_read(codes.size() + (one_scale ? 0 : scale_bytes.size()));
  }
  return total;
}

}  // namespace afp::cli
