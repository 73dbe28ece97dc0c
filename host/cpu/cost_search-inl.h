// The least squared error of every cell of a tile under many candidates, each cell a block of its own,
// without the scales that reach it: the costs of scale_search-inl.h, bit for bit, for less work.
//
// What candidates share is taken from them. Under e8m0 a scale is a power of two, so that a normalized
// magnitude m is rounded where it lies: to steps of its own binade over 2^M, but not below those of the
// smallest normal value times the scale,
//
//     b = max(binade(m), smallest normal),   v = (m + b 2^(23-M)) - b 2^(23-M),   v = min(v, largest)
//
// with nothing that depends on E or N but two limits a lane. (Without mantissa bits a tie may go the other
// way than in the codes; the error is the same.) Under ue4m3 a scale is (1 + i/8) 2^e: m is divided by 1 +
// i/8 once for all candidates, whose powers of two again are limits only.
#if defined(AFP_HOST_CPU_COST_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_COST_SEARCH_INL_H_
#undef AFP_HOST_CPU_COST_SEARCH_INL_H_
#else
#define AFP_HOST_CPU_COST_SEARCH_INL_H_
#endif

#include <array>
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

// Magnitudes to round and the power of two that each begins with (0 for subnormal ones), as in a Tile.
struct Rounded {
  alignas(64) float magnitudes[kMaxCell * kTileCells];
  alignas(64) float binades[kMaxCell * kTileCells];
};

HWY_INLINE VF binade_of(VF magnitude) {
  return hn::And(magnitude, hn::BitCast(DF(), hn::Set(DU(), 0x7F800000u)));
}

// 2^exponent, or 0 where that is no normal number.
HWY_INLINE VF power_or_zero(VI exponent) {
  const DI di;
  return hn::BitCast(DF(), hn::ShiftLeft<23>(hn::Max(hn::Add(exponent, hn::Set(di, 127)), hn::Zero(di))));
}

// --- e8m0
// ----------------------------------------------------------------------------------------------------

// One Format under a scale 2^x a lane.
template <bool kUniform>
struct PowerGrid {
  HWY_INLINE PowerGrid(Format format, VI x)
      : least(power_or_zero(hn::Add(x, hn::Set(DI(), format.min_normal_exponent())))),
        to_shifter(hn::Set(DF(), exp2_int(23 - format.mantissa_bits))) {
    if (kUniform) least = hn::Mul(least, to_shifter);
  }

  // A uniform grid has the step of its smallest normal value everywhere.
  HWY_INLINE VF round(VF magnitude, [[maybe_unused]] VF binade) const {
    if constexpr (kUniform) {
      return hn::Sub(hn::Add(magnitude, least), least);
    } else {
      const VF b = hn::Max(binade, least);  // b * to_shifter is exact: fused or not is the same
      return hn::NegMulAdd(b, to_shifter, hn::MulAdd(b, to_shifter, magnitude));
    }
  }

  VF least;
  VF to_shifter;
};

struct RoundedLanes {
  const float* magnitudes;
  const float* binades;
  int length;
};

template <bool kClips, bool kUniform>
HWY_INLINE VF power_grid_error(const RoundedLanes& cells, const PowerGrid<kUniform>& grid, VF limit) {
  const DF df;
  VF cost[1];
  sums_of_squares_at(
      cells.length,
      [&](int at, int) HWY_ATTR {
        const VF magnitude = hn::Load(df, cells.magnitudes + at);
        VF value = grid.round(magnitude, hn::Load(df, cells.binades + at));
        if constexpr (kClips) value = hn::Min(value, limit);
        return hn::Sub(magnitude, value);
      },
      cost);
  return cost[0];
}

// Squared errors of the lanes under 2^x.
template <bool kClips>
HWY_NOINLINE VF power_error(const RoundedLanes& cells, Format format, VI x) {
  const VF limit = hn::Mul(hn::Set(DF(), format.max_value()), power_of_two(x));
  if (format.exponent_bits == 1) return power_grid_error<kClips>(cells, PowerGrid<true>(format, x), limit);
  return power_grid_error<kClips>(cells, PowerGrid<false>(format, x), limit);
}

// From here on a Format has values so far below its largest that most blocks have none of its subnormal ones.
inline constexpr int kWideExponentBits = 4;

// The search under e8m0 for all its Formats.
class ExponentSearch {
 public:
  explicit ExponentSearch(std::vector<Format> formats)
      : formats_(std::move(formats)), first_(formats_.size()), costs_(formats_.size()) {
    scanned_.reserve(formats_.size());
  }

  std::size_t count() const { return formats_.size(); }
  const float* costs(std::size_t f) const { return costs_[f].values; }

  HWY_INLINE void search(const Tile& tile, Rounded& rounded) {
    for (int lane = 0; lane < kTileCells; lane += kLanes) search_lanes(tile, lane, rounded);
  }

 private:
  // Binades of the lanes; the smallest magnitude but zero of each.
  HWY_INLINE VF prepare(const Tile& tile, int lane, Rounded& rounded) const {
    const DF df;
    const DU du;
    VU smallest = hn::Set(du, 0x7F7FFFFFu);
    for (int at = lane; at < tile.length * kTileCells; at += kTileCells) {
      const VF magnitude = hn::Load(df, tile.magnitudes + at);
      hn::Store(binade_of(magnitude), df, rounded.binades + at);
      smallest =
          hn::Min(smallest, hn::Sub(hn::BitCast(du, magnitude), hn::Set(du, 1)));  // 0 becomes the largest
    }
    return hn::BitCast(df, hn::Add(smallest, hn::Set(du, 1)));
  }

  HWY_INLINE void search_lanes(const Tile& tile, int lane, Rounded& rounded) {
    const DF df;
    const DI di;
    const VF smallest = prepare(tile, lane, rounded);
    const RoundedLanes cells{tile.magnitudes + lane, rounded.binades + lane, tile.length};
    const Largest largest = largest_of(tile, lane);
    const VI exponent = hn::Load(di, tile.exponent + lane);
    const VI bits = hn::BitCast(di, largest.first);
    const VI mantissa = hn::And(bits, hn::Set(di, 0x7FFFFF));
    const VI binade = hn::Sub(hn::ShiftRight<23>(bits), hn::Set(di, 127));

    bool relative_known[kMaxBits] = {};
    VF relative[kMaxBits];
    scanned_.clear();
    for (std::size_t f = 0; f < formats_.size(); ++f) {
      const Format format = formats_[f];
      const VI lowest = hn::Sub(hn::Set(di, min_scale_exponent(format)), exponent);
      const VI highest = hn::Sub(hn::Set(di, max_scale_exponent(format)), exponent);
      const auto above =
          hn::Gt(mantissa, hn::Set(di, static_cast<std::int32_t>(float_bits(format.max_value()) & 0x7FFFFF)));
      VI x = hn::Sub(binade, hn::Set(di, format.max_exponent()));
      x = hn::Add(x, hn::IfThenElseZero(above, hn::Set(di, 1)));
      x = hn::Min(hn::Max(x, lowest), highest);
      const VF limit = hn::Mul(hn::Set(df, format.max_value()), power_of_two(x));
      const bool none_clips = hn::AllTrue(df, hn::Le(largest.first, limit));
      if (format.exponent_bits >= kWideExponentBits && none_clips) {
        const VF least = power_or_zero(hn::Add(x, hn::Set(di, format.min_normal_exponent())));
        if (hn::AllTrue(df, hn::Le(least, smallest))) {
          // All magnitudes are rounded to M bits of their own: the error under any E, and no scale can do
          // better.
          const int m = format.mantissa_bits;
          if (!relative_known[m]) {
            relative[m] = power_grid_error<false>(cells, PowerGrid<false>(format, hn::Set(di, -1000)), limit);
            relative_known[m] = true;
          }
          hn::Store(relative[m], df, costs_[f].values + lane);
          continue;
        }
      }
      const VF cost =
          HWY_LIKELY(none_clips) ? power_error<false>(cells, format, x) : power_error<true>(cells, format, x);
      hn::Store(cost, df, costs_[f].values + lane);
      hn::Store(x, di, first_[f].values + lane);
      scanned_.push_back(f);
    }
    for (int step = 1; !scanned_.empty(); ++step) {
      std::size_t kept = 0;
      for (const std::size_t f : scanned_) {
        scanned_[kept] = f;
        kept += step_down(tile, lane, cells, largest, exponent, f, step) ? 1 : 0;
      }
      scanned_.resize(kept);
    }
  }

  // Whether any lane could gain by 2^(x - step).
  HWY_NOINLINE bool step_down(const Tile& tile, int lane, const RoundedLanes& cells, const Largest& largest,
                              VI exponent, std::size_t f, int step) {
    const DF df;
    const DI di;
    const Format format = formats_[f];
    const VI lowest = hn::Sub(hn::Set(di, min_scale_exponent(format)), exponent);
    const VI x = hn::Sub(hn::Load(di, first_[f].values + lane), hn::Set(di, step));
    const VI candidate = hn::Max(x, lowest);
    const VF best = hn::Load(df, costs_[f].values + lane);
    const VF limit = hn::Mul(hn::Set(df, format.max_value()), power_of_two(candidate));
    const MF may = hn::And(hn::Lt(least_error(lanes_of(tile, lane), largest, limit, step - 1), best),
                           hn::Not(hn::RebindMask(df, hn::Lt(x, lowest))));
    if (hn::AllFalse(df, may)) return false;
    hn::Store(hn::Min(best, power_error<true>(cells, format, candidate)), df, costs_[f].values + lane);
    return true;
  }

  std::vector<Format> formats_;
  std::vector<CellInts> first_;  // x of s0
  std::vector<CellFloats> costs_;
  std::vector<std::size_t> scanned_;  // those for which smaller scales are not ruled out
};

// --- ue4m3
// ---------------------------------------------------------------------------------------------------

// The search under ue4m3 for all candidates, a Format or a pair each.
class FractionSearch {
 public:
  explicit FractionSearch(std::vector<TensorCodec> codecs)
      : codecs_(std::move(codecs)), costs_(codecs_.size()), alone_(codecs_.size()) {
    for (std::size_t c = 0; c < codecs_.size(); ++c)
      for (int i = 0; i < codecs_[c].encoding.format_count(); ++i)
        scans_.push_back({i == 0 ? codecs_[c].encoding.format : *codecs_[c].encoding.alternative, c, {}});
    open_.reserve(scans_.size());
  }

  const float* costs(std::size_t c) const { return costs_[c].values; }

  HWY_INLINE void search(const Tile& tile, Rounded& rounded) {
    for (int lane = 0; lane < kTileCells; lane += kLanes) search_lanes(tile, lane, rounded);
    for (std::size_t c = 0; c < codecs_.size(); ++c) {
      if (!alone_[c]) continue;
      std::uint8_t scales[kTileCells];
      costs_[c] = {};
      search_tile(tile, codecs_[c], Effort::exact, scales, costs_[c].values);
      alone_[c] = false;
    }
  }

 private:
  struct Scan {
    Format format;
    std::size_t candidate;
    CellInts first;  // byte of s0
  };

  HWY_INLINE VF unit_of(const Tile& tile, int lane, std::size_t c) const {
    return hn::Mul(hn::Set(DF(), codecs_[c].tensor_scale), hn::Load(DF(), tile.normalizer + lane));
  }

  HWY_INLINE void search_lanes(const Tile& tile, int lane, Rounded& rounded) {
    const DF df;
    const DI di;
    const Largest largest = largest_of(tile, lane);
    const MF is_zero = hn::Eq(largest.first, hn::Zero(df));
    for (CellFloats& costs : costs_)
      hn::Store(hn::Set(df, hwy::HighestValue<float>()), df, costs.values + lane);
    for (Scan& scan : scans_) {
      const VF unit = unit_of(tile, lane, scan.candidate);
      const float max_value = scan.format.max_value();
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
    for (int fraction = 0; fraction < 8; ++fraction) octave_step(tile, lane, fraction, rounded);
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

  // The scales (1 + fraction/8) 2^e from s0 up to below 2 s0, under which nothing clips: one for each Format.
  HWY_INLINE void octave_step(const Tile& tile, int lane, int fraction, Rounded& rounded) {
    const DF df;
    const DI di;
    const float mantissa = 1.0f + static_cast<float>(fraction) / 8.0f;
    const VF reciprocal = hn::Set(df, 1.0f / mantissa);
    for (int at = lane; at < tile.length * kTileCells; at += kTileCells) {
      const VF quotient = hn::Mul(hn::Load(df, tile.magnitudes + at), reciprocal);
      hn::Store(quotient, df, rounded.magnitudes + at);
      hn::Store(binade_of(quotient), df, rounded.binades + at);
    }
    const RoundedLanes cells{rounded.magnitudes + lane, rounded.binades + lane, tile.length};
    const float* weights = tile.magnitudes + lane;
    for (const Scan& scan : scans_) {
      if (alone_[scan.candidate]) continue;
      const VI first = hn::Load(di, scan.first.values + lane);
      const VI byte = hn::Add(first, hn::And(hn::Sub(hn::Set(di, fraction), first), hn::Set(di, 7)));
      const VF power = hn::Mul(power_of_two(hn::Sub(hn::ShiftRight<3>(byte), hn::Set(di, 7))),
                               unit_of(tile, lane, scan.candidate));
      float* best = costs_[scan.candidate].values + lane;
      const VF cost = octave_error(cells, weights, scan.format, hn::Set(df, mantissa), power);
      hn::Store(hn::Min(hn::Load(df, best), cost), df, best);
    }
  }

  // Of magnitudes whose quotients by `mantissa` are in `cells`, under the scale mantissa * power.
  HWY_NOINLINE VF octave_error(const RoundedLanes& cells, const float* magnitudes, Format format, VF mantissa,
                               VF power) const {
    const DF df;
    const auto error = [&](const auto& round) HWY_ATTR {
      VF cost[1];
      sums_of_squares_at(
          cells.length,
          [&](int at, int) HWY_ATTR {
            const VF value = round(hn::Load(df, cells.magnitudes + at), at);
            return hn::NegMulAdd(value, mantissa, hn::Load(df, magnitudes + at));
          },
          cost);
      return cost[0];
    };
    const VF least = hn::Mul(power, hn::Set(df, exp2_int(format.min_normal_exponent())));
    const VF to_shifter = hn::Set(df, exp2_int(23 - format.mantissa_bits));
    switch (grid_kind(format)) {
      case GridKind::uniform: {
        const VF shifter = hn::Mul(least, to_shifter);
        return error([&](VF q, int) HWY_ATTR { return hn::Sub(hn::Add(q, shifter), shifter); });
      }
      case GridKind::floating:
        return error([&](VF q, int at) HWY_ATTR {
          const VF b = hn::Max(hn::Load(df, cells.binades + at), least);
          return hn::NegMulAdd(b, to_shifter, hn::MulAdd(b, to_shifter, q));
        });
      default: {  // as in Rounder, the exponent field of the value before its scale being that of q / power
        const Rounder<GridKind::powers> rounder(format);
        const auto shifts = hn::TestBit(hn::BitCast(DI(), power), hn::Set(DI(), 1 << 23));  // 127 is odd
        const MF even_shift = hn::RebindMask(df, shifts);
        const VF odd = hn::Set(df, rounder.shifter_of_odd), even = hn::Set(df, rounder.shifter_of_even);
        const VF steps_of_odd = hn::IfThenElse(even_shift, odd, even);
        const VF steps_of_even = hn::IfThenElse(even_shift, even, odd);
        return error([&](VF q, int at) HWY_ATTR {
          const VF b = hn::Max(hn::Load(df, cells.binades + at), least);
          const MF is_odd = hn::RebindMask(df, hn::TestBit(hn::BitCast(DI(), b), hn::Set(DI(), 1 << 23)));
          const VF steps = hn::IfThenElse(is_odd, steps_of_odd, steps_of_even);
          return hn::NegMulAdd(b, steps, hn::MulAdd(b, steps, q));
        });
      }
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
    const VF limit = hn::Mul(scale, hn::Set(df, scan.format.max_value()));
    float* costs = costs_[scan.candidate].values + lane;
    const VF best = hn::Load(df, costs);
    const MF may = hn::And(hn::Lt(least_error(cells, largest, limit, step - 1), best),
                           hn::Not(hn::RebindMask(df, hn::Lt(byte, one))));
    if (hn::AllFalse(df, may)) return false;
    const Ue4m3Scales scales(unit_of(tile, lane, scan.candidate));
    VF cost;
    with_rounder(scan.format, [&](const auto& rounder)
                                  HWY_ATTR { cost = ue4m3_error<true>(cells, rounder, scales, candidate); });
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
