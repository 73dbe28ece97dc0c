// A row is summed in strips of its own, from its first cell on, so that its scale does not depend on
// the rows around it.
#include "host/cpu/row_search.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "afp/codec.hpp"
#include "host/core/long_block.hpp"

namespace afp::cpu {
namespace {

constexpr std::uint64_t kStripCells = kStripWeights / kSegment;

template <class Body>
void for_each_strip(CellRange cells, const Body& body) {
  for (std::uint64_t done = 0; done < cells.count; done += kStripCells)
    body(CellRange{cells.first + done, std::min(kStripCells, cells.count - done)});
}

}  // namespace

void search_row(const WeightPiece& piece, CellRange row, const TensorCodec& codec, std::uint8_t& scale,
                StripSums& sums) {
  const std::size_t width = static_cast<std::size_t>(dtype_bits(piece.dtype)) / 8;
  const std::uint64_t offset =
      piece.grid.weight_begin(row.first) - piece.grid.weight_begin(piece.cells.first);
  const Extent extent = weights_extent(piece.weights + offset * width, piece.dtype, piece.grid.columns);

  const LongBlock block(codec, extent.absmax);
  const float normalizer = exp2_int(-block.exponent);
  LongBlockScan scan(codec, block);
  std::vector<float> scales;
  std::vector<ScaleScore> totals, strip;
  for (std::vector<std::uint8_t> bytes = scan.next(); !bytes.empty(); bytes = scan.next()) {
    scales.clear();
    for (const std::uint8_t byte : bytes) scales.push_back(block.normalized_scale(codec, byte));
    totals.assign(bytes.size(), {});
    for_each_strip(row, [&](CellRange cells) {
      strip.assign(bytes.size(), {});
      score_segments(piece, cells, codec.encoding.format_of(bytes[0]), normalizer, scales, strip);
      for (std::size_t i = 0; i < strip.size(); ++i) {
        totals[i].error += strip[i].error;
        totals[i].clipped += strip[i].clipped;
      }
    });
    scan.take(bytes, totals);
  }
  scale = scan.best_byte();
  sums.error += scan.best_error();
  double signal = 0.0;
  for_each_strip(row, [&](CellRange cells) { signal += segments_signal(piece, cells, normalizer); });
  sums.signal += std::ldexp(signal, 2 * block.exponent);
}

}  // namespace afp::cpu
