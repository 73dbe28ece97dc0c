// Filling a tile: loading cells of any dtype, transposed, and normalizing them. Included once for
// every SIMD target (see kernels.cpp).
#if defined(AFP_HOST_CPU_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_TILE_INL_H_
#undef AFP_HOST_CPU_TILE_INL_H_
#else
#define AFP_HOST_CPU_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstring>

#include "afp/codec.hpp"
#include "host/cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes: a tile is 16 / Lanes(DF()) registers wide.
using DF = HWY_CAPPED(float, kTileCells);
using DU = hn::RebindToUnsigned<DF>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;
using VI = hn::Vec<DI>;
using MF = hn::Mask<DF>;

inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(DF()));

#if HWY_TARGET != HWY_SCALAR
// One register whose 128-bit part b holds the 16 bytes at p + b * stride.
template <class D>
HWY_INLINE hn::Vec<D> load_parts(D d, const std::uint8_t* p, std::size_t stride) {
  constexpr std::size_t kParts = hn::MaxLanes(D()) / 4;
  if constexpr (kParts <= 1) {
    return hn::LoadU(d, reinterpret_cast<const std::uint32_t*>(p));
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, load_parts(half, p + stride * (kParts / 2), stride), load_parts(half, p, stride));
  }
}

// Four registers of 32-bit words, words 0..3 of the cells at p, p + stride, ...: cell i in lane i.
HWY_INLINE void load_words(const std::uint8_t* p, std::size_t stride, VU& w0, VU& w1, VU& w2, VU& w3) {
  const DU du;
  const hn::Repartition<std::uint64_t, DU> du64;
  const VU a0 = load_parts(du, p, 4 * stride);
  const VU a1 = load_parts(du, p + stride, 4 * stride);
  const VU a2 = load_parts(du, p + 2 * stride, 4 * stride);
  const VU a3 = load_parts(du, p + 3 * stride, 4 * stride);
  const auto low01 = hn::BitCast(du64, hn::InterleaveLower(du, a0, a1));
  const auto low23 = hn::BitCast(du64, hn::InterleaveLower(du, a2, a3));
  const auto high01 = hn::BitCast(du64, hn::InterleaveUpper(du, a0, a1));
  const auto high23 = hn::BitCast(du64, hn::InterleaveUpper(du, a2, a3));
  w0 = hn::BitCast(du, hn::InterleaveLower(du64, low01, low23));
  w1 = hn::BitCast(du, hn::InterleaveUpper(du64, low01, low23));
  w2 = hn::BitCast(du, hn::InterleaveLower(du64, high01, high23));
  w3 = hn::BitCast(du, hn::InterleaveUpper(du64, high01, high23));
}
#else
HWY_INLINE void load_words(const std::uint8_t* p, std::size_t, VU& w0, VU& w1, VU& w2, VU& w3) {
  const DU du;
  std::uint32_t words[4];
  std::memcpy(words, p, sizeof words);
  w0 = hn::Set(du, words[0]);
  w1 = hn::Set(du, words[1]);
  w2 = hn::Set(du, words[2]);
  w3 = hn::Set(du, words[3]);
}
#endif

// fp16 bits in the low half of every lane to float32, exact (see f16_to_float).
HWY_INLINE VF f16_lanes_to_float(VU half) {
  const DU du;
  const DF df;
  const VU magnitude = hn::And(half, hn::Set(du, 0x7FFFu));
  const VU sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(du, 0x8000u)));
  const VU normal = hn::Add(hn::ShiftLeft<13>(magnitude), hn::Set(du, 112u << 23));
  const VF subnormal = hn::Mul(hn::ConvertTo(df, hn::BitCast(DI(), magnitude)), hn::Set(df, exp2_int(-24)));
  const auto is_normal = hn::Gt(hn::BitCast(DI(), magnitude), hn::Set(DI(), 0x03FF));
  const VU bits = hn::IfThenElse(hn::RebindMask(du, is_normal), normal, hn::BitCast(du, subnormal));
  return hn::BitCast(df, hn::Or(bits, sign));
}

// Cells of `length` weights (a multiple of 16), `stride` bytes apart, into tile.weights.
template <DType dtype>
HWY_INLINE void load_weights(const std::uint8_t* cells, std::size_t stride, Tile& tile) {
  const DU du;
  const DF df;
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    const std::uint8_t* p = cells + static_cast<std::size_t>(lane) * stride;
    float* out = tile.weights + lane;
    if constexpr (dtype == DType::F32) {
      for (int j = 0; j < tile.length; j += 4, p += 16, out += 4 * kTileCells) {
        VU w0, w1, w2, w3;
        load_words(p, stride, w0, w1, w2, w3);
        hn::Store(hn::BitCast(df, w0), df, out);
        hn::Store(hn::BitCast(df, w1), df, out + kTileCells);
        hn::Store(hn::BitCast(df, w2), df, out + 2 * kTileCells);
        hn::Store(hn::BitCast(df, w3), df, out + 3 * kTileCells);
      }
    } else {
      for (int j = 0; j < tile.length; j += 8, p += 16) {
        VU words[4];
        load_words(p, stride, words[0], words[1], words[2], words[3]);
        for (const VU word : words) {
          VF even, odd;
          if constexpr (dtype == DType::BF16) {
            even = hn::BitCast(df, hn::ShiftLeft<16>(word));
            odd = hn::BitCast(df, hn::And(word, hn::Set(du, 0xFFFF0000u)));
          } else {
            even = f16_lanes_to_float(hn::And(word, hn::Set(du, 0xFFFFu)));
            odd = f16_lanes_to_float(hn::ShiftRight<16>(word));
          }
          hn::Store(even, df, out);
          hn::Store(odd, df, out + kTileCells);
          out += 2 * kTileCells;
        }
      }
    }
  }
}

// The two largest magnitudes of every cell of the tile.
HWY_INLINE void find_largest(Tile& tile) {
  const DF df;
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    const float* w = tile.weights + lane;
    VF first[2] = {hn::Zero(df), hn::Zero(df)}, second[2] = {hn::Zero(df), hn::Zero(df)};
    for (int j = 0; j < tile.length; j += 2) {
      for (int u = 0; u < 2; ++u, w += kTileCells) {
        const VF magnitude = hn::Abs(hn::Load(df, w));
        second[u] = hn::Max(second[u], hn::Min(first[u], magnitude));
        first[u] = hn::Max(first[u], magnitude);
      }
    }
    hn::Store(hn::Max(first[0], first[1]), df, tile.absmax + lane);
    hn::Store(hn::Max(hn::Max(second[0], second[1]), hn::Min(first[0], first[1])), df, tile.second + lane);
  }
}

// Normalizers from absmax. A block far smaller than the smallest scale it can get is normalized as if it were
// of size 2^lowest (lowest_block_exponent), so that its scales stay ordinary numbers. Tells whether any has
// changed.
HWY_INLINE bool find_normalizers(int lowest, Tile& tile) {
  bool changed = false;
  const DF df;
  const DI di;
  const DU du;
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    const VI bits = hn::BitCast(di, hn::Load(df, tile.absmax + lane));
    // At most 126: the normalizer is a normal number then.
    VI exponent = hn::Sub(hn::ShiftRight<23>(bits), hn::Set(di, 127));
    exponent = hn::Min(hn::Max(exponent, hn::Set(di, lowest)), hn::Set(di, 126));
    changed |= !hn::AllTrue(di, hn::Eq(exponent, hn::Load(di, tile.exponent + lane)));
    hn::Store(exponent, di, tile.exponent + lane);
    const VU field = hn::BitCast(du, hn::Sub(hn::Set(di, 127), exponent));
    hn::Store(hn::BitCast(df, hn::ShiftLeft<23>(field)), df, tile.normalizer + lane);
  }
  return changed;
}

// The power of two that a magnitude begins with.
HWY_INLINE VF binade_of(VF magnitude) {
  return hn::And(magnitude, hn::BitCast(DF(), hn::Set(DU(), 0x7F800000u)));
}

HWY_INLINE void normalize(Tile& tile) {
  const DF df;
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    const VF normalizer = hn::Load(df, tile.normalizer + lane);
    for (int at = lane; at < tile.length * kTileCells; at += kTileCells) {
      const VF magnitude = hn::Mul(hn::Abs(hn::Load(df, tile.weights + at)), normalizer);
      hn::Store(magnitude, df, tile.magnitudes + at);
      hn::Store(binade_of(magnitude), df, tile.binades + at);
    }
  }
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
