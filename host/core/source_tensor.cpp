// Bodies of source_tensor.hpp.
#include "host/core/source_tensor.hpp"

#include <algorithm>

#include "afp/error.hpp"
#include "host/core/narrow.hpp"

namespace afp {

SourceTensor::SourceTensor(const Checkpoint& input, const CheckpointTensor& tensor)
    : input_(&input), tensor_(&tensor), bytes_(tensor.bytes()) {}

std::vector<SourceTensor::Piece> SourceTensor::cut(const BlockGrid& grid, const MemoryShares& shares) const {
  const auto width = static_cast<std::uint64_t>(dtype_bits(tensor_->dtype)) / 8;
  const std::uint64_t strip = cells_per_strip(grid);
  const std::uint64_t strip_bytes = strip * static_cast<std::uint64_t>(grid.cell_size) * width;
  if (strip_bytes > shares.resident_bytes)
    throw UsageError("tensor '" + tensor_->name + "': a row of " + std::to_string(grid.columns * width) +
                     " bytes is a block, more than a quarter of the memory budget; give a larger budget or "
                     "smaller blocks");
  const std::uint64_t step = strip * std::max<std::uint64_t>(1, shares.piece_bytes / strip_bytes);
  std::vector<Piece> pieces;
  std::uint64_t first = 0;
  do {
    const CellRange cells{first, std::min(step, grid.cells() - first)};
    const std::uint64_t end = first + cells.count;
    pieces.push_back({cells, cells.count ? grid.weight_begin(first) * width : 0,
                      end == grid.cells() ? bytes_ : grid.weight_begin(end) * width});
    first = end;
  } while (first < grid.cells());
  return pieces;
}

std::vector<SourceTensor::Piece> SourceTensor::cut(const MemoryShares& shares) const {
  std::vector<Piece> pieces;
  std::uint64_t begin = 0;
  do {
    const std::uint64_t end = std::min(bytes_, begin + shares.piece_bytes);
    pieces.push_back({{}, begin, end});
    begin = end;
  } while (begin < bytes_);
  return pieces;
}

std::span<const std::byte> SourceTensor::read(const Piece& piece, SourceBuffer& buffer,
                                              ProgressMeter* meter) {
  const std::uint64_t size = piece.end - piece.begin;
  const bool first_time = loaded_ == piece.begin && piece.begin < bytes_;
  std::span<std::byte> into;
  if (!resident_.empty()) {
    into = resident_.subspan(piece.begin, size);
  } else {
    if (buffer.raw.size() < size) buffer.raw.resize(size);
    into = std::span(buffer.raw).first(size);
  }
  if (first_time || resident_.empty()) input_->read(*tensor_, piece.begin, into);
  if (first_time) {
    digest_.update(into);
    loaded_ = piece.end;
    if (meter != nullptr) meter->add(size, tensor_->name);
  }
  return into;
}

const std::byte* SourceTensor::weights(std::span<const std::byte> bytes, SourceBuffer& buffer) const {
  if (tensor_->dtype != DType::F64) return bytes.data();
  buffer.narrowed.resize(bytes.size() / 2);
  narrow_f64(bytes, buffer.narrowed);
  return buffer.narrowed.data();
}

}  // namespace afp
