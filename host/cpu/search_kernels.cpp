// Choosing scales and encoding, tile by tile: the drivers around the -inl.h files, compiled once for
// every SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/search_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <cstring>
#include <vector>

#include "host/cpu/encode-inl.h"
#include "host/cpu/kernels.hpp"
#include "host/cpu/load_tile-inl.h"
#include "host/cpu/scale_search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

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

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(search_cells);
HWY_EXPORT(encode_cells);

void search_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                  Effort effort, std::span<const CellResults> results) {
  HWY_DYNAMIC_DISPATCH(search_cells)(piece, cells, candidates, effort, results);
}

void encode_cells(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                  const std::uint8_t* scales, std::uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(encode_cells)(piece, cells, codec, scales, codes);
}
}  // namespace afp::cpu
#endif
