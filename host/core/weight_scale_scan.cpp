// Bodies of weight_scale_scan.hpp.
#include "host/core/weight_scale_scan.hpp"

namespace afp {

WeightScaleScan::WeightScaleScan(const Backend& backend, const BlockGrid& grid, const TensorCodec& codec,
                                 float absmax)
    : backend_(backend), grid_(grid), codec_(codec), block_(codec, absmax), scan_(codec, block_) {}

bool WeightScaleScan::needs_scores() {
  if (!bytes_.empty()) take_scores();
  bytes_ = scan_.next();
  scores_.assign(strip_count(grid_, {0, grid_.cells()}) * bytes_.size(), {});
  return !bytes_.empty();
}

void WeightScaleScan::take_scores() {
  const std::size_t count = bytes_.size();
  std::vector<ScaleScore> totals(count);
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    totals[i % count].error += scores_[i].error;
    totals[i % count].clipped += scores_[i].clipped;
  }
  scan_.take(bytes_, totals);
}

void WeightScaleScan::score(const WeightPiece& piece) {
  const std::size_t count = bytes_.size();
  const std::size_t first_strip = piece.cells.first / cells_per_strip(grid_);
  backend_.score_scales(
      piece, codec_, block_, bytes_,
      std::span(scores_).subspan(first_strip * count, strip_count(grid_, piece.cells) * count));
}

}  // namespace afp
