// The least squared error of every cell of a tile under many candidates, each cell a block of its own,
// without the scales that reach it: the costs of scale_search-inl.h, bit for bit, for less work.
#if defined(AFP_HOST_CPU_COST_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_COST_SEARCH_INL_H_
#undef AFP_HOST_CPU_COST_SEARCH_INL_H_
#else
#define AFP_HOST_CPU_COST_SEARCH_INL_H_
#endif

#include <vector>

#include "host/cpu/scale_search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// A number for each cell of a tile.
struct alignas(64) CellFloats {
  float values[kTileCells] = {};
};
struct alignas(64) CellInts {
  std::int32_t values[kTileCells] = {};
};

// --- e8m0 ---

// The search under e8m0 for all its Formats.
class ExponentSearch {
 public:
  explicit ExponentSearch(const std::vector<Format>& formats)
      : formats_(formats.begin(), formats.end()), first_(formats_.size()), costs_(formats_.size()) {
    scanned_.reserve(formats_.size());
  }

  std::size_t count() const { return formats_.size(); }
  const float* costs(std::size_t f) const { return costs_[f].values; }

  HWY_INLINE void search(const Tile& tile) {
    for (int lane = 0; lane < kTileCells; lane += kLanes) search_lanes(tile, lane);
  }

 private:
  // The smallest magnitude of each lane but zero.
  HWY_INLINE VF smallest_of(const Tile& tile, int lane) const {
    const DU du;
    VU smallest = hn::Set(du, float_bits(hwy::HighestValue<float>()));
    for (int at = lane; at < tile.length * kTileCells; at += kTileCells)  // 0 - 1 is the largest
      smallest =
          hn::Min(smallest, hn::Sub(hn::BitCast(du, hn::Load(DF(), tile.magnitudes + at)), hn::Set(du, 1)));
    return hn::BitCast(DF(), hn::Add(smallest, hn::Set(du, 1)));
  }

  HWY_INLINE void search_lanes(const Tile& tile, int lane) {
    const DF df;
    const DI di;
    const QuotientLanes cells(tile, lane);
    const VF smallest = smallest_of(tile, lane);
    const Largest largest = largest_of(tile, lane);
    bool relative_known[kMaxBits] = {};
    VF relative[kMaxBits];
    scanned_.clear();
    for (std::size_t f = 0; f < formats_.size(); ++f) {
      const FormatGrid& format = formats_[f];
      const VI x = Exponents(tile, lane, format, largest.first).first;
      const VF limit = hn::Mul(hn::Set(df, format.max_value), power_of_two(x));
      const bool none_clips = hn::AllTrue(df, hn::Le(largest.first, limit));
      if (format.is_wide && none_clips) {
        const VF least = power_or_zero(hn::Add(x, hn::Set(di, format.min_normal_exponent)));
        if (hn::AllTrue(df, hn::Le(least, smallest))) {
          // All magnitudes are rounded to M bits of their own: the error under any E, and no scale can do
          // better.
          const int m = format.mantissa_bits;
          if (!relative_known[m]) {
            relative[m] = grid_error<false, GridKind::floating>(cells, format, 1.0f, hn::Set(di, -1000));
            relative_known[m] = true;
          }
          hn::Store(relative[m], df, costs_[f].values + lane);
          continue;
        }
      }
      const VF cost = HWY_LIKELY(none_clips) ? scaled_error<false>(cells, format, 1.0f, x)
                                             : scaled_error<true>(cells, format, 1.0f, x);
      hn::Store(cost, df, costs_[f].values + lane);
      hn::Store(x, di, first_[f].values + lane);
      scanned_.push_back(f);
    }
    for (int step = 1; !scanned_.empty(); ++step) {
      std::size_t kept = 0;
      for (const std::size_t f : scanned_) {
        scanned_[kept] = f;
        kept += step_down(tile, lane, cells, largest, f, step) ? 1 : 0;
      }
      scanned_.resize(kept);
    }
  }

  // Whether any lane could gain by 2^(x - step).
  HWY_NOINLINE bool step_down(const Tile& tile, int lane, const QuotientLanes& cells, const Largest& largest,
                              std::size_t f, int step) {
    const DF df;
    const DI di;
    const FormatGrid& format = formats_[f];
    const VI exponent = hn::Load(di, tile.exponent + lane);
    const VI lowest = hn::Sub(hn::Set(di, format.min_scale), exponent);
    const VI x = hn::Sub(hn::Load(di, first_[f].values + lane), hn::Set(di, step));
    const VI candidate = hn::Max(x, lowest);
    const VF best = hn::Load(df, costs_[f].values + lane);
    const VF limit = hn::Mul(hn::Set(df, format.max_value), power_of_two(candidate));
    const MF may = hn::And(hn::Lt(least_error(lanes_of(tile, lane), largest, limit, step - 1), best),
                           hn::Not(hn::RebindMask(df, hn::Lt(x, lowest))));
    if (hn::AllFalse(df, may)) return false;
    hn::Store(hn::Min(best, scaled_error<true>(cells, format, 1.0f, candidate)), df, costs_[f].values + lane);
    return true;
  }

  std::vector<FormatGrid> formats_;
  std::vector<CellInts> first_;  // x of s0
  std::vector<CellFloats> costs_;
  std::vector<std::size_t> scanned_;  // those for which smaller scales are not ruled out
};

// --- ue4m3 ---

// The search under ue4m3 for all candidates, a Format or a pair each.
class FractionSearch {
 public:
  explicit FractionSearch(std::vector<TensorCodec> codecs)
      : codecs_(std::move(codecs)), costs_(codecs_.size()), alone_(codecs_.size()) {
    for (std::size_t c = 0; c < codecs_.size(); ++c)
      for (int i = 0; i < codecs_[c].encoding.format_count(); ++i) scans_.emplace_back(codecs_[c], i, c);
    open_.reserve(scans_.size());
  }

  const float* costs(std::size_t c) const { return costs_[c].values; }

  HWY_INLINE void search(const Tile& tile, Quotients& quotients) {
    for (int lane = 0; lane < kTileCells; lane += kLanes) search_lanes(tile, lane, quotients);
    for (std::size_t c = 0; c < codecs_.size(); ++c) {
      if (!alone_[c]) continue;
      std::uint8_t scales[kTileCells];
      costs_[c] = {};
      search_tile(tile, codecs_[c], Effort::exact, scales, costs_[c].values);
      alone_[c] = false;
    }
  }

 private:
  // Of one Format of a candidate.
  struct Scan {
    Scan(const TensorCodec& codec, int format_index, std::size_t c)
        : Scan(format_index == 0 ? codec.encoding.format : *codec.encoding.alternative, codec.tensor_scale,
               c) {}
    Scan(Format format, float tensor_scale, std::size_t c)
        : grid(format),
          uniform(format),
          floating(format),
          powers(format),
          candidate(c),
          tensor_exponent(static_cast<int>(float_bits(tensor_scale) >> 23) - 127) {}

    FormatGrid grid;
    Rounder<GridKind::uniform> uniform;  // of them the one of the grid's kind is used
    Rounder<GridKind::floating> floating;
    Rounder<GridKind::powers> powers;
    std::size_t candidate;
    int tensor_exponent;
    CellInts first;  // byte of s0
  };

  HWY_INLINE VF unit_of(const Tile& tile, int lane, std::size_t c) const {
    return hn::Mul(hn::Set(DF(), codecs_[c].tensor_scale), hn::Load(DF(), tile.normalizer + lane));
  }

  HWY_INLINE VI unit_exponent(const Tile& tile, int lane, const Scan& scan) const {
    return hn::Sub(hn::Set(DI(), scan.tensor_exponent), hn::Load(DI(), tile.exponent + lane));
  }

  HWY_INLINE void search_lanes(const Tile& tile, int lane, Quotients& quotients) {
    const DF df;
    const DI di;
    const Largest largest = largest_of(tile, lane);
    const MF is_zero = hn::Eq(largest.first, hn::Zero(df));
    for (CellFloats& costs : costs_)
      hn::Store(hn::Set(df, hwy::HighestValue<float>()), df, costs.values + lane);
    for (Scan& scan : scans_) {
      const VF unit = unit_of(tile, lane, scan.candidate);
      const float max_value = scan.grid.max_value;
      // A block of zeros is scanned like one whose s0 is ordinary.
      const VI first = hn::IfThenElse(hn::RebindMask(di, is_zero), hn::Set(di, 64),
                                      first_ue4m3(largest.first, unit, max_value));
      hn::Store(first, di, scan.first.values + lane);
      const VF limit = hn::Mul(hn::Mul(ue4m3_lanes(first), unit), hn::Set(df, max_value));
      const auto ordinary = hn::And(hn::Gt(first, hn::Set(di, 7)),
                                    hn::Lt(first, hn::Set(di, static_cast<std::int32_t>(kUe4m3Max) - 6)));
      if (!hn::AllTrue(di, ordinary) || !hn::AllTrue(df, hn::Le(largest.first, limit)))
        alone_[scan.candidate] = true;
    }
    for (int eighths = 0; eighths < 8; ++eighths) octave_step(tile, lane, eighths, quotients);
    open_.clear();
    for (std::size_t s = 0; s < scans_.size(); ++s)
      if (!alone_[scans_[s].candidate]) open_.push_back(s);
    for (int step = 1; !open_.empty(); ++step) {
      std::size_t kept = 0;
      for (const std::size_t s : open_) {
        open_[kept] = s;
        kept += step_down(tile, lane, largest, scans_[s], step) ? 1 : 0;
      }
      open_.resize(kept);
    }
  }

  // The scales (1 + eighths/8) 2^e from s0 up to below 2 s0, under which nothing clips: one for each Format.
  HWY_INLINE void octave_step(const Tile& tile, int lane, int eighths, Quotients& quotients) {
    const DF df;
    const DI di;
    const float fraction = 1.0f + static_cast<float>(eighths) / 8.0f;
    divide(tile, lane, fraction, quotients);
    const QuotientLanes cells(tile, quotients, lane);
    for (const Scan& scan : scans_) {
      if (alone_[scan.candidate]) continue;
      const VI first = hn::Load(di, scan.first.values + lane);
      const VI byte = hn::Add(first, hn::And(hn::Sub(hn::Set(di, eighths), first), hn::Set(di, 7)));
      const VI x = hn::Add(hn::Sub(hn::ShiftRight<3>(byte), hn::Set(di, 7)), unit_exponent(tile, lane, scan));
      float* best = costs_[scan.candidate].values + lane;
      const VF cost = scaled_error<false>(cells, scan.grid, fraction, x);
      hn::Store(hn::Min(hn::Load(df, best), cost), df, best);
    }
  }

  // Whether any lane could gain by the scale `step` bytes below s0.
  HWY_NOINLINE bool step_down(const Tile& tile, int lane, const Largest& largest, const Scan& scan,
                              int step) {
    const DF df;
    const DI di;
    const Lanes cells = lanes_of(tile, lane);
    const VI one = hn::Set(di, 1);
    const VI byte = hn::Sub(hn::Load(di, scan.first.values + lane), hn::Set(di, step));
    const VI candidate = hn::Max(byte, one);
    const VF scale = hn::Mul(ue4m3_lanes(candidate), unit_of(tile, lane, scan.candidate));
    const VF limit = hn::Mul(scale, hn::Set(df, scan.grid.max_value));
    float* costs = costs_[scan.candidate].values + lane;
    const VF best = hn::Load(df, costs);
    const MF may = hn::And(hn::Lt(least_error(cells, largest, limit, step - 1), best),
                           hn::Not(hn::RebindMask(df, hn::Lt(byte, one))));
    if (hn::AllFalse(df, may)) return false;
    const Ue4m3Scales scales(unit_of(tile, lane, scan.candidate));
    const VF cost =
        scan.grid.kind == GridKind::uniform    ? ue4m3_error<true>(cells, scan.uniform, scales, candidate)
        : scan.grid.kind == GridKind::floating ? ue4m3_error<true>(cells, scan.floating, scales, candidate)
                                               : ue4m3_error<true>(cells, scan.powers, scales, candidate);
    hn::Store(hn::Min(best, cost), df, costs);
    return true;
  }

  std::vector<TensorCodec> codecs_;
  std::vector<CellFloats> costs_;
  std::vector<bool>
      alone_;  // candidates with a block whose s0 is at an end of the range: searched as elsewhere
  std::vector<Scan> scans_;
  std::vector<std::size_t> open_;
};

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
