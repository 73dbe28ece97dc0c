// Choosing scales and encoding, tile by tile: the drivers around the -inl.h files, compiled once for
// every SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/search_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <cstring>
#include <vector>

#include "host/core/long_block.hpp"
#include "host/cpu/encode-inl.h"
#include "host/cpu/kernels.hpp"
#include "host/cpu/scale_search-inl.h"
#include "host/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// Cells [first, first + cells) of the piece's grid, zeros behind a short cell and in missing ones.
void load_tile(const WeightPiece& piece, std::uint64_t first, int cells, Tile& tile) {
  const BlockGrid& grid = piece.grid;
  const std::size_t width = static_cast<std::size_t>(dtype_bits(piece.dtype)) / 8;
  const std::uint64_t origin = grid.weight_begin(piece.cells.first);
  tile.length = tile_length(grid);
  tile.cells = cells;
  tile.cell_size = grid.cell_size;

  const auto* source =
      reinterpret_cast<const std::uint8_t*>(piece.weights) + (grid.weight_begin(first) - origin) * width;
  std::size_t stride = static_cast<std::size_t>(grid.cell_size) * width;
  alignas(64) std::uint8_t staged[kTileCells * kMaxCell * sizeof(float)];
  const bool whole_cells = grid.columns % grid.cell_size == 0;
  const bool within_row = first % grid.cells_per_row + kTileCells < grid.cells_per_row;
  if (cells < kTileCells || !(whole_cells || within_row)) {
    stride = static_cast<std::size_t>(tile.length) * width;
    std::memset(staged, 0, kTileCells * stride);
    for (int i = 0; i < cells; ++i) {
      const std::uint64_t cell = first + static_cast<std::uint64_t>(i);
      std::memcpy(
          staged + static_cast<std::size_t>(i) * stride,
          reinterpret_cast<const std::uint8_t*>(piece.weights) + (grid.weight_begin(cell) - origin) * width,
          static_cast<std::size_t>(grid.cell_weights(cell)) * width);
    }
    source = staged;
  }
  switch (piece.dtype) {
    case DType::BF16:
      return load_weights<DType::BF16>(source, stride, tile);
    case DType::F16:
      return load_weights<DType::F16>(source, stride, tile);
    default:
      return load_weights<DType::F32>(source, stride, tile);
  }
}

// Scale bytes and costs (in normalized units) of the tile's cells under one candidate.
void search_tile(const Tile& tile, const TensorCodec& codec, Effort effort, std::uint8_t* scales,
                 float* costs) {
  const DF df;
  const DI di;
  const Encoding& encoding = codec.encoding;
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    if (lane >= tile.cells) break;
    const auto search = [&](Format format, Best& best, VF rival) HWY_ATTR {
      with_rounder(format, [&](const auto& rounder) HWY_ATTR {
        if (encoding.scale == ScaleKind::e8m0)
          search_e8m0(tile, lane, format, rounder, best);
        else
          search_ue4m3(tile, lane, format, codec.tensor_scale, effort, rounder, rival, best);
      });
    };
    Best best;
    search(encoding.format, best, hn::Set(df, hwy::HighestValue<float>()));
    VI byte = best.scale;
    if (encoding.scale == ScaleKind::e8m0) byte = hn::Add(byte, hn::Set(di, kE8m0Bias));
    if (encoding.alternative) {
      Best other;
      search(*encoding.alternative, other, best.cost);
      const MF larger_scale = hn::RebindMask(df, hn::Gt(other.scale, best.scale));
      const MF wins =
          hn::Or(hn::Lt(other.cost, best.cost), hn::And(hn::Eq(other.cost, best.cost), larger_scale));
      const VI marked = hn::Add(other.scale, hn::Set(di, static_cast<std::int32_t>(kUe4m3Alternative)));
      byte = hn::IfThenElse(hn::RebindMask(di, wins), marked, byte);
      best.cost = hn::IfThenElse(wins, other.cost, best.cost);
    }
    const MF is_zero = hn::Eq(hn::Load(df, tile.absmax + lane), hn::Zero(df));
    byte = hn::IfThenZeroElse(hn::RebindMask(di, is_zero), byte);
    best.cost = hn::IfThenZeroElse(is_zero, best.cost);

    alignas(64) std::int32_t bytes[kTileCells];
    hn::Store(byte, di, bytes);
    hn::Store(best.cost, df, costs + lane);
    for (int i = 0; i < kLanes; ++i) scales[lane + i] = static_cast<std::uint8_t>(bytes[i]);
  }
}

void search_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                  Effort effort, std::span<const CellResults> results) {
  const BlockGrid& grid = piece.grid;
  Tile tile;
  PackedTile packed;
  std::vector<CellSum> errors(candidates.size()), signals(candidates.size());
  for (std::uint64_t done = 0; done < cells.count; done += kTileCells) {
    const std::uint64_t first = cells.first + done;
    const int count = static_cast<int>(std::min<std::uint64_t>(kTileCells, cells.count - done));
    load_tile(piece, first, count, tile);
    find_largest(tile);

    alignas(64) float squares[kTileCells] = {};
    double units[kTileCells] = {};
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      // A candidate's result does not depend on the others: it is normalized for its own scales, which mostly
      // is what the one before had.
      if (find_normalizers(lowest_block_exponent(candidates[c]), tile) || c == 0) {
        normalize(tile);
        for (int lane = 0; lane < kTileCells; lane += kLanes)
          hn::Store(sum_of_squares(lanes_of(tile, lane)), DF(), squares + lane);
        for (int i = 0; i < kTileCells; ++i) units[i] = square_unit(tile.exponent[i]);
      }
      signals[c].add(squares, units);
      alignas(64) std::uint8_t scales[kTileCells] = {};
      alignas(64) float costs[kTileCells] = {};  // lanes without cells are not searched
      search_tile(tile, candidates[c], effort, scales, costs);
      const CellResults& result = results[c];
      std::memcpy(result.scales + done, scales, static_cast<std::size_t>(count));
      errors[c].add(costs, units);
      if (result.codes) {
        encode_tile(tile, candidates[c], scales, packed);
        store_cells(packed, grid, first, count, cells.first, result.codes);
      }
    }
  }
  for (std::size_t c = 0; c < candidates.size(); ++c)
    *results[c].sums = {errors[c].total(), signals[c].total()};
}

void encode_cells(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                  const std::uint8_t* scales, std::uint8_t* codes) {
  const BlockGrid& grid = piece.grid;
  const std::uint64_t scale_origin = cells.count == 0 ? 0 : grid.scale_index(cells.first);
  Tile tile;
  PackedTile packed;
  for (std::uint64_t done = 0; done < cells.count; done += kTileCells) {
    const std::uint64_t first = cells.first + done;
    const int count = static_cast<int>(std::min<std::uint64_t>(kTileCells, cells.count - done));
    load_tile(piece, first, count, tile);
    std::uint8_t tile_scales[kTileCells] = {};
    for (int i = 0; i < count; ++i)
      tile_scales[i] = scales[grid.scale_index(first + static_cast<std::uint64_t>(i)) - scale_origin];
    encode_tile(tile, codec, tile_scales, packed);
    store_cells(packed, grid, first, count, cells.first, codes);
  }
}

// A tile of a long block: one normalizer for all its cells.
void load_segments(const WeightPiece& piece, std::uint64_t first, int count, float normalizer, Tile& tile) {
  load_tile(piece, first, count, tile);
  for (float& lane : tile.normalizer) lane = normalizer;
  normalize(tile);
}

void score_segments(const WeightPiece& piece, CellRange cells, Format format, float normalizer,
                    std::span<const float> scales, std::span<ScaleScore> scores) {
  const DF df;
  Tile tile;
  std::vector<CellSum> error_sums(scales.size()), clipped_sums(scales.size());
  for (std::uint64_t done = 0; done < cells.count; done += kTileCells) {
    const int count = static_cast<int>(std::min<std::uint64_t>(kTileCells, cells.count - done));
    load_segments(piece, cells.first + done, count, normalizer, tile);
    with_rounder(format, [&](const auto& rounder) HWY_ATTR {
      for (std::size_t s = 0; s < scales.size(); ++s) {
        alignas(64) float errors[kTileCells], clipped[kTileCells];
        const VF scale = hn::Set(df, scales[s]);
        const VF reciprocal = hn::Div(hn::Set(df, 1.0f), scale);
        for (int lane = 0; lane < kTileCells; lane += kLanes) {
          hn::Store(squared_error<true>(lanes_of(tile, lane), rounder, scale, reciprocal), df, errors + lane);
          hn::Store(clipped_error(lanes_of(tile, lane), rounder.max_value, scale), df, clipped + lane);
        }
        error_sums[s].add(errors);
        clipped_sums[s].add(clipped);
      }
    });
  }
  for (std::size_t s = 0; s < scales.size(); ++s)
    scores[s] = {error_sums[s].total(), clipped_sums[s].total()};
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
HWY_EXPORT(search_cells);
HWY_EXPORT(encode_cells);
HWY_EXPORT(score_segments);
HWY_EXPORT(segments_signal);

void search_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                  Effort effort, std::span<const CellResults> results) {
  HWY_DYNAMIC_DISPATCH(search_cells)(piece, cells, candidates, effort, results);
}

void encode_cells(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                  const std::uint8_t* scales, std::uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(encode_cells)(piece, cells, codec, scales, codes);
}

void score_segments(const WeightPiece& piece, CellRange cells, Format format, float normalizer,
                    std::span<const float> scales, std::span<ScaleScore> scores) {
  HWY_DYNAMIC_DISPATCH(score_segments)(piece, cells, format, normalizer, scales, scores);
}

double segments_signal(const WeightPiece& piece, CellRange cells, float normalizer) {
  return HWY_DYNAMIC_DISPATCH(segments_signal)(piece, cells, normalizer);
}
}  // namespace afp::cpu
#endif
