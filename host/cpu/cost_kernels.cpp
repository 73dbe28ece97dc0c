// What candidates cost, tile by tile, without codes: every block under its best scale, and under given
// scales with weights of the columns. Compiled once for every SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/cost_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <map>
#include <optional>
#include <vector>

#include "host/cpu/cost_search-inl.h"
#include "host/cpu/encode-inl.h"
#include "host/cpu/kernels.hpp"
#include "host/cpu/load_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// Candidates that are normalized alike (lowest_block_exponent), and their searches.
struct CandidateGroup {
  CandidateGroup(std::span<const TensorCodec> candidates, std::vector<std::size_t> members, Effort effort)
      : lowest(lowest_block_exponent(candidates[members[0]])) {
    std::vector<Format> formats;
    std::vector<TensorCodec> codecs;
    for (const std::size_t c : members) {
      if (candidates[c].encoding.scale == ScaleKind::e8m0) {
        e8m0.push_back(c);
        formats.push_back(candidates[c].encoding.format);
      } else if (effort == Effort::exact) {
        ue4m3.push_back(c);
        codecs.push_back(candidates[c]);
      } else {
        one_by_one.push_back(c);
      }
    }
    exponents.emplace(std::move(formats));
    fractions.emplace(std::move(codecs));
  }

  int lowest;
  std::vector<std::size_t> e8m0, ue4m3, one_by_one;  // indices of candidates
  std::optional<ExponentSearch> exponents;
  std::optional<FractionSearch> fractions;
};

inline std::vector<CandidateGroup> groups_of(std::span<const TensorCodec> candidates, Effort effort) {
  std::map<int, std::vector<std::size_t>> members;
  for (std::size_t c = 0; c < candidates.size(); ++c)
    members[lowest_block_exponent(candidates[c])].push_back(c);
  std::vector<CandidateGroup> groups;
  for (auto& [lowest, indices] : members) groups.emplace_back(candidates, std::move(indices), effort);
  return groups;
}

void cost_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                Effort effort, const BlockSample& sample, std::span<StripSums* const> sums) {
  Tile tile;
  Quotients quotients;
  std::vector<CandidateGroup> groups = groups_of(candidates, effort);
  std::vector<CellSum> errors(candidates.size()), signals(groups.size());
  sample.for_each_unit(cells, [&](CellRange unit) {
    load_tile(piece, unit.first, static_cast<int>(unit.count), tile);
    find_largest(tile);
    alignas(64) float squares[kTileCells] = {};
    double units[kTileCells] = {};
    for (std::size_t g = 0; g < groups.size(); ++g) {
      CandidateGroup& group = groups[g];
      if (find_normalizers(group.lowest, tile) || g == 0) {
        normalize(tile);
        for (int lane = 0; lane < kTileCells; lane += kLanes)
          hn::Store(sum_of_squares(lanes_of(tile, lane)), DF(), squares + lane);
        for (int i = 0; i < kTileCells; ++i) units[i] = square_unit(tile.exponent[i]);
      }
      signals[g].add(squares, units);
      if (!group.e8m0.empty()) group.exponents->search(tile);
      for (std::size_t i = 0; i < group.e8m0.size(); ++i)
        errors[group.e8m0[i]].add(group.exponents->costs(i), units);
      if (!group.ue4m3.empty()) group.fractions->search(tile, quotients);
      for (std::size_t i = 0; i < group.ue4m3.size(); ++i)
        errors[group.ue4m3[i]].add(group.fractions->costs(i), units);
      for (const std::size_t c : group.one_by_one) {
        std::uint8_t scales[kTileCells];
        alignas(64) float costs[kTileCells] = {};
        search_tile(tile, candidates[c], effort, scales, costs);
        errors[c].add(costs, units);
      }
    }
  });
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const std::vector<std::size_t>* members : {&groups[g].e8m0, &groups[g].ue4m3, &groups[g].one_by_one})
      for (const std::size_t c : *members) *sums[c] = {errors[c].total(), signals[g].total()};
}

// Values, before their scale, that the tile's magnitudes are rounded to: [weight][cell].
HWY_INLINE void round_tile(const Tile& tile, const TensorCodec& codec, const std::uint8_t* scales,
                           float* values) {
  const DF df;
  const DI di;
  const hn::Rebind<std::uint8_t, DI> du8;
  const Encoding& encoding = codec.encoding;
  const auto round = [&](Format format, int lane, VI mark) HWY_ATTR {
    const VI bytes = hn::PromoteTo(di, hn::LoadU(du8, scales + lane));
    const VF reciprocal = block_reciprocals(codec, bytes);
    const bool pair = encoding.alternative.has_value();
    const MF mine = hn::RebindMask(df, hn::Eq(hn::And(bytes, hn::Set(di, pair ? 0x80 : 0)), mark));
    with_rounder(format, [&](const auto& rounder) HWY_ATTR {
      const VF limit = hn::Set(df, rounder.max_value);
      for (int j = 0; j < tile.length; ++j) {
        const VF magnitude = hn::Abs(hn::Load(df, tile.weights + j * kTileCells + lane));
        float* out = values + j * kTileCells + lane;
        const VF value = rounder.value(hn::Min(hn::Mul(magnitude, reciprocal), limit));
        hn::Store(hn::IfThenElse(mine, value, hn::Load(df, out)), df, out);
      }
    });
  };
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    round(encoding.format, lane, hn::Zero(di));
    if (encoding.alternative) round(*encoding.alternative, lane, hn::Set(di, 0x80));
  }
}

double weighted_error(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                      const std::uint8_t* scales, std::span<const float> importance) {
  const BlockGrid& grid = piece.grid;
  const std::uint64_t scale_origin = cells.count == 0 ? 0 : grid.scale_index(cells.first);
  Tile tile;
  CellSum total;
  alignas(64) float values[kMaxCell * kTileCells] = {};
  alignas(64) float column_weights[kMaxCell * kTileCells];
  for (std::uint64_t done = 0; done < cells.count; done += kTileCells) {
    const std::uint64_t first = cells.first + done;
    const int count = static_cast<int>(std::min<std::uint64_t>(kTileCells, cells.count - done));
    load_tile(piece, first, count, tile);
    const std::size_t used = static_cast<std::size_t>(tile.length * kTileCells);
    std::fill_n(column_weights, used, 0.0f);
    std::uint8_t bytes[kTileCells] = {};
    double scale_values[kTileCells] = {};
    for (int i = 0; i < count; ++i) {
      const std::uint64_t cell = first + static_cast<std::uint64_t>(i);
      bytes[i] = scales[grid.scale_index(cell) - scale_origin];
      scale_values[i] = codec.exact_scale(bytes[i]);
      const float* from = importance.data() + cell % grid.cells_per_row * grid.cell_size;
      const int weights = grid.cell_weights(cell);
      for (int j = 0; j < weights; ++j) column_weights[j * kTileCells + i] = from[j];
    }
    round_tile(tile, codec, bytes, values);
    double sums[4][kTileCells] = {};
    for (int j = 0; j < tile.length; j += 4)
      for (int u = 0; u < 4; ++u) {
        const int at = (j + u) * kTileCells;
        for (int i = 0; i < kTileCells; ++i) {
          const double difference = std::abs(static_cast<double>(tile.weights[at + i])) -
                                    static_cast<double>(values[at + i]) * scale_values[i];
          sums[u][i] += static_cast<double>(column_weights[at + i]) * (difference * difference);
        }
      }
    for (int i = 0; i < kTileCells; ++i)
      total.lanes[i] += (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]);
  }
  return total.total();
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(cost_cells);
HWY_EXPORT(weighted_error);

void cost_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                Effort effort, const BlockSample& sample, std::span<StripSums* const> sums) {
  HWY_DYNAMIC_DISPATCH(cost_cells)(piece, cells, candidates, effort, sample, sums);
}

double weighted_error(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                      const std::uint8_t* scales, std::span<const float> importance) {
  return HWY_DYNAMIC_DISPATCH(weighted_error)(piece, cells, codec, scales, importance);
}
}  // namespace afp::cpu
#endif
