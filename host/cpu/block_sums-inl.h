// Sums of squares over the weights of every cell of a tile, a cell a lane: of magnitudes normalized to about
// 1, so that squares neither underflow nor overflow, and in one order everywhere: four running sums over
// weights j = 0, 1, 2, 3 mod 4, added as (0 + 1) + (2 + 3).
#if defined(AFP_HOST_CPU_BLOCK_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_BLOCK_SUMS_INL_H_
#undef AFP_HOST_CPU_BLOCK_SUMS_INL_H_
#else
#define AFP_HOST_CPU_BLOCK_SUMS_INL_H_
#endif

#include "host/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// One lane group's weights of a tile.
struct Lanes {
  const float* magnitudes;
  int length;
};

HWY_INLINE Lanes lanes_of(const Tile& tile, int lane) {
  return {tile.magnitudes + lane, tile.length};
}

// The one order of sums within a block: of the squares of term(at, c) over the weights, `at` being the place
// of the weight in a tile's arrays, for kCount values of c side by side, so that each weight is loaded once
// and the chains of additions overlap.
template <int kCount, class Term>
HWY_INLINE void sums_of_squares_at(int length, const Term& term, VF (&totals)[kCount]) {
  const DF df;
  VF sum[kCount][4];
  for (int c = 0; c < kCount; ++c)
    for (int u = 0; u < 4; ++u) sum[c][u] = hn::Zero(df);
  for (int at = 0; at < length * kTileCells;) {
    for (int u = 0; u < 4; ++u, at += kTileCells) {
      for (int c = 0; c < kCount; ++c) {
        const VF value = term(at, c);
        sum[c][u] = hn::Add(sum[c][u], hn::Mul(value, value));
      }
    }
  }
  for (int c = 0; c < kCount; ++c)
    totals[c] = hn::Add(hn::Add(sum[c][0], sum[c][1]), hn::Add(sum[c][2], sum[c][3]));
}

// The same of term(magnitude, c).
template <int kCount, class Term>
HWY_INLINE void sums_of_squares(const Lanes& cells, const Term& term, VF (&totals)[kCount]) {
  sums_of_squares_at(
      cells.length, [&](int at, int c) HWY_ATTR { return term(hn::Load(DF(), cells.magnitudes + at), c); },
      totals);
}

HWY_INLINE VF sum_of_squares(const Lanes& cells) {
  VF total[1];
  sums_of_squares(
      cells, [](VF magnitude, int) HWY_ATTR { return magnitude; }, total);
  return total[0];
}

// Squared error of what clips: a - limit where that is positive; `limit` is scale * max_value, which is
// exact.
HWY_INLINE VF clipped_error(const Lanes& cells, VF limit) {
  VF total[1];
  sums_of_squares(
      cells, [&](VF magnitude, int) HWY_ATTR { return hn::Max(hn::Sub(magnitude, limit), hn::Zero(DF())); },
      total);
  return total[0];
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
