// What scales cost the cells of a long block (a row of several cells, a tensor), many in one pass over the
// weights. Compiled once for every SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/segment_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <vector>

#include "host/cpu/kernels.hpp"
#include "host/cpu/load_tile-inl.h"
#include "host/cpu/scaled_error-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// A tile of a long block: one normalizer for all its cells.
void load_segments(const WeightPiece& piece, std::uint64_t first, int count, float normalizer, Tile& tile) {
  load_tile(piece, first, count, tile);
  for (float& lane : tile.normalizer) lane = normalizer;
  normalize(tile);
}

// The sums under one scale.
struct ScaleSums {
  ScaleSums(const SegmentScale& segment_scale, std::size_t place)
      : scale(segment_scale),
        grid(scale.format),
        index(place),
        exponent(static_cast<int>(float_bits(scale.scale) >> 23) - 127) {}

  // Quotients by `fraction`, but where that is 1.
  HWY_INLINE void add(const Tile& tile, float fraction, const Quotients& quotients) {
    const DF df;
    alignas(64) float errors[kTileCells];
    for (int lane = 0; lane < kTileCells; lane += kLanes) {
      const QuotientLanes cells =
          fraction == 1.0f ? QuotientLanes(tile, lane) : QuotientLanes(tile, quotients, lane);
      const VI x = hn::Set(DI(), exponent);
      hn::Store(scale.clips ? scaled_error<true>(cells, grid, fraction, x)
                            : scaled_error<false>(cells, grid, fraction, x),
                df, errors + lane);
    }
    error.add(errors);
    if (!scale.limit) return;
    for (int lane = 0; lane < kTileCells; lane += kLanes)
      hn::Store(clipped_error(lanes_of(tile, lane), hn::Set(df, *scale.limit)), df, errors + lane);
    clipped.add(errors);
  }

  SegmentScale scale;
  FormatGrid grid;
  std::size_t index;
  int exponent;
  CellSum error, clipped;
};

void score_segments(const WeightPiece& piece, CellRange cells, float normalizer,
                    std::span<const SegmentScale> scales, std::span<ScaleScore> scores) {
  std::vector<ScaleSums> sums_of_eighths[8];  // by the fraction 1 + i/8 of the scale
  for (std::size_t s = 0; s < scales.size(); ++s)
    sums_of_eighths[float_bits(scales[s].scale) >> 20 & 7].emplace_back(scales[s], s);
  Tile tile;
  Quotients quotients;
  for (std::uint64_t done = 0; done < cells.count; done += kTileCells) {
    const int count = static_cast<int>(std::min<std::uint64_t>(kTileCells, cells.count - done));
    load_segments(piece, cells.first + done, count, normalizer, tile);
    for (int eighths = 0; eighths < 8; ++eighths) {
      if (sums_of_eighths[eighths].empty()) continue;
      const float fraction = 1.0f + static_cast<float>(eighths) / 8.0f;
      if (eighths != 0)
        for (int lane = 0; lane < kTileCells; lane += kLanes) divide(tile, lane, fraction, quotients);
      for (ScaleSums& sums : sums_of_eighths[eighths]) sums.add(tile, fraction, quotients);
    }
  }
  for (const std::vector<ScaleSums>& all : sums_of_eighths)
    for (const ScaleSums& sums : all) scores[sums.index] = {sums.error.total(), sums.clipped.total()};
}

double segments_signal(const WeightPiece& piece, CellRange cells, float normalizer) {
  Tile tile;
  CellSum signal;
  for (std::uint64_t done = 0; done < cells.count; done += kTileCells) {
    const int count = static_cast<int>(std::min<std::uint64_t>(kTileCells, cells.count - done));
    load_segments(piece, cells.first + done, count, normalizer, tile);
    alignas(64) float squares[kTileCells];
    for (int lane = 0; lane < kTileCells; lane += kLanes)
      hn::Store(sum_of_squares(lanes_of(tile, lane)), DF(), squares + lane);
    signal.add(squares);
  }
  return signal.total();
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(score_segments);
HWY_EXPORT(segments_signal);

void score_segments(const WeightPiece& piece, CellRange cells, float normalizer,
                    std::span<const SegmentScale> scales, std::span<ScaleScore> scores) {
  HWY_DYNAMIC_DISPATCH(score_segments)(piece, cells, normalizer, scales, scores);
}

double segments_signal(const WeightPiece& piece, CellRange cells, float normalizer) {
  return HWY_DYNAMIC_DISPATCH(segments_signal)(piece, cells, normalizer);
}
}  // namespace afp::cpu
#endif
