// Bodies of packed_reader.hpp.
#include "host/core/packed_reader.hpp"

#include <algorithm>
#include <cmath>

#include "afp/codec.hpp"

namespace afp {

PackedReader::PackedReader(const PackedCheckpoint& packed, const PackedEntry& entry)
    : checkpoint_(&packed.checkpoint()),
      entry_(&entry),
      grid_(entry.encoding->block, entry.encoding->bits(), entry.source.shape),
      codec_{*entry.encoding} {
  if (!entry.tensor_scale) return;
  checkpoint_->read(checkpoint_->tensors()[*entry.tensor_scale], 0,
                    std::as_writable_bytes(std::span(&codec_.tensor_scale, 1)));
}

bool PackedReader::tensor_scale_is_valid() const {
  return std::isfinite(codec_.tensor_scale) && codec_.tensor_scale > 0.0f;
}

std::string PackedReader::file() const {
  const std::size_t shard = checkpoint_->tensors()[entry_->data].shard;
  return (checkpoint_->folder() / checkpoint_->shards()[shard].file_name).string();
}

std::uint64_t PackedReader::code_bytes(CellRange cells) const {
  return grid_.code_begin(cells.first + cells.count) - grid_.code_begin(cells.first);
}

std::uint64_t PackedReader::scale_count(CellRange cells) const {
  if (cells.count == 0) return 0;
  return grid_.scale_index(cells.first + cells.count - 1) - grid_.scale_index(cells.first) + 1;
}

std::uint64_t PackedReader::new_scale_count(CellRange cells) const {
  const bool shared = cells.count > 0 && cells.first > 0 &&
                      grid_.scale_index(cells.first - 1) == grid_.scale_index(cells.first);
  return scale_count(cells) - (shared ? 1 : 0);
}

void PackedReader::read_codes(CellRange cells, std::vector<std::uint8_t>& codes) const {
  codes.resize(code_bytes(cells));
  checkpoint_->read(checkpoint_->tensors()[entry_->data], grid_.code_begin(cells.first),
                    std::as_writable_bytes(std::span(codes)));
}

void PackedReader::read_scales(CellRange cells, std::vector<std::uint8_t>& scales) const {
  scales.resize(scale_count(cells));
  checkpoint_->read(checkpoint_->tensors()[entry_->scales], grid_.scale_index(cells.first),
                    std::as_writable_bytes(std::span(scales)));
}

std::vector<CellRange> cut_into_pieces(const BlockGrid& grid, std::uint64_t weights) {
  const auto cell = static_cast<std::uint64_t>(grid.cell_size);
  const std::uint64_t strip = cells_per_strip(grid);
  const std::uint64_t unit = strip * cell <= weights ? strip : 1;
  const std::uint64_t step = std::max<std::uint64_t>(1, weights / cell / unit) * unit;
  std::vector<CellRange> pieces;
  for (std::uint64_t first = 0; first < grid.cells(); first += step)
    pieces.push_back({first, std::min(step, grid.cells() - first)});
  return pieces;
}

bool is_scale_byte(const Encoding& encoding, std::uint8_t byte) {
  if (encoding.scale == ScaleKind::e8m0) return byte != kE8m0Invalid;
  const bool chooses = (byte & kUe4m3Alternative) != 0;
  return (byte & 0x7F) <= kUe4m3Max && (!chooses || encoding.alternative);
}

std::optional<std::size_t> find_invalid_scale(const Encoding& encoding,
                                              std::span<const std::uint8_t> scales) {
  const auto found = std::find_if(scales.begin(), scales.end(),
                                  [&](std::uint8_t byte) { return !is_scale_byte(encoding, byte); });
  if (found == scales.end()) return std::nullopt;
  return static_cast<std::size_t>(found - scales.begin());
}

}  // namespace afp
