// Codes of a tile's weights under given scales, packed.
#if defined(AFP_HOST_CPU_ENCODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AFP_HOST_CPU_ENCODE_INL_H_
#undef AFP_HOST_CPU_ENCODE_INL_H_
#else
#define AFP_HOST_CPU_ENCODE_INL_H_
#endif

#include <cstring>

#include "host/cpu/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {

// Codes of a tile, [weight][cell], and the same packed, [word][cell].
struct CodeTile {
  alignas(64) std::uint32_t codes[kMaxCell * kTileCells];
};
struct PackedTile {
  alignas(64) std::uint32_t words[kMaxCell * kMaxBits / 32][kTileCells];
};

// r of y = w * r for blocks with these scale bytes. Byte 0 of ue4m3 belongs to blocks of zeros.
HWY_INLINE VF block_reciprocals(const TensorCodec& codec, VI bytes) {
  const DF df;
  const DI di;
  const VF one = hn::Set(df, 1.0f);
  if (codec.encoding.scale == ScaleKind::e8m0) {
    const VI smallest = hn::Set(di, 0x00400000);  // 2^-127, the subnormal that byte 0 stands for
    return hn::Div(one, hn::BitCast(df, hn::Max(hn::ShiftLeft<23>(bytes), smallest)));
  }
  const VI magnitude = hn::And(bytes, hn::Set(di, 0x7F));
  const VF scale = hn::Mul(ue4m3_lanes(magnitude), hn::Set(df, codec.tensor_scale));
  const MF is_zero = hn::RebindMask(df, hn::Eq(magnitude, hn::Zero(di)));
  return hn::IfThenZeroElse(is_zero, hn::Div(one, scale));
}

template <class CodeOf>
HWY_INLINE void encode_lanes(const Tile& tile, int lane, int bits, const CodeOf& code_of, CodeTile& codes) {
  const DU du;
  const DF df;
  const float* p = tile.weights + lane;
  std::uint32_t* out = codes.codes + lane;
  const VU sign_bit = hn::Set(du, 0x80000000u);
  for (int j = 0; j < tile.length; ++j, p += kTileCells, out += kTileCells) {
    const VF weight = hn::Load(df, p);
    const VU sign = hn::ShiftRightSame(hn::And(hn::BitCast(du, weight), sign_bit), 32 - bits);
    hn::Store(hn::Or(code_of(hn::Abs(weight)), sign), du, out);
  }
}

// 16 codes of every cell at a time, 2 N bytes: with N odd their last half word is the first half of the
// next 16 codes' words, unless the cell ends there.
template <int kBits>
HWY_INLINE void pack_lanes(const CodeTile& codes, int length, int lane, PackedTile& packed) {
  const DU du;
  const std::uint32_t* p = codes.codes + lane;
  std::size_t index = 0;
  VU word = hn::Zero(du);
  for (int j = 0; j < length; j += 32) {
    int shift = 0;
    HWY_UNROLL(32)
    for (int i = 0; i < 32; ++i, p += kTileCells) {
      if (i == 16 && j + 16 >= length) break;
      const VU code = hn::Load(du, p);
      word = shift == 0 ? code : hn::Or(word, hn::ShiftLeftSame(code, shift));
      shift += kBits;
      if (shift >= 32) {
        hn::Store(word, du, packed.words[index++] + lane);
        shift -= 32;
        word = shift == 0 ? hn::Zero(du) : hn::ShiftRightSame(code, kBits - shift);
      }
    }
  }
  if (kBits % 2 != 0 && length % 32 != 0) hn::Store(word, du, packed.words[index] + lane);
}

// Packs every cell to its end, also where the tile's weights are fewer.
HWY_INLINE void pack_tile(CodeTile& codes, const Tile& tile, int bits, PackedTile& packed) {
  const std::size_t used = static_cast<std::size_t>(tile.length * kTileCells);
  std::memset(codes.codes + used, 0, static_cast<std::size_t>(tile.cell_size * kTileCells) * 4 - used * 4);
  for (int lane = 0; lane < kTileCells; lane += kLanes) {
    switch (bits) {
      case 2:
        pack_lanes<2>(codes, tile.cell_size, lane, packed);
        break;
      case 3:
        pack_lanes<3>(codes, tile.cell_size, lane, packed);
        break;
      case 4:
        pack_lanes<4>(codes, tile.cell_size, lane, packed);
        break;
      case 5:
        pack_lanes<5>(codes, tile.cell_size, lane, packed);
        break;
      case 6:
        pack_lanes<6>(codes, tile.cell_size, lane, packed);
        break;
      case 7:
        pack_lanes<7>(codes, tile.cell_size, lane, packed);
        break;
      default:
        pack_lanes<8>(codes, tile.cell_size, lane, packed);
        break;
    }
  }
}

template <GridKind kind>
HWY_INLINE VU clipped_code(const Rounder<kind>& rounder, VF magnitude, VF reciprocal) {
  return rounder.code(hn::Min(hn::Mul(magnitude, reciprocal), hn::Set(DF(), rounder.max_value)));
}

// `scales`: one byte for every cell of the tile, zero for those not in use.
HWY_INLINE void encode_tile(const Tile& tile, const TensorCodec& codec, const std::uint8_t* scales,
                            PackedTile& packed) {
  CodeTile codes;
  const DI di;
  const hn::Rebind<std::uint8_t, DI> du8;
  const Encoding& encoding = codec.encoding;
  const int bits = encoding.bits();
  with_rounder(encoding.format, [&](const auto& rounder) HWY_ATTR {
    for (int lane = 0; lane < kTileCells; lane += kLanes) {
      const VI bytes = hn::PromoteTo(di, hn::LoadU(du8, scales + lane));
      const VF reciprocal = block_reciprocals(codec, bytes);
      const auto is_alternative = hn::RebindMask(
          DU(), hn::Gt(hn::And(bytes, hn::Set(di, encoding.alternative ? 0x80 : 0)), hn::Zero(di)));
      if (hn::AllFalse(DU(), is_alternative)) {
        encode_lanes(
            tile, lane, bits,
            [&](VF magnitude) HWY_ATTR { return clipped_code(rounder, magnitude, reciprocal); }, codes);
        continue;
      }
      with_rounder(*encoding.alternative, [&](const auto& other) HWY_ATTR {
        encode_lanes(
            tile, lane, bits,
            [&](VF magnitude) HWY_ATTR {
              return hn::IfThenElse(is_alternative, clipped_code(other, magnitude, reciprocal),
                                    clipped_code(rounder, magnitude, reciprocal));
            },
            codes);
      });
    }
  });
  pack_tile(codes, tile, bits, packed);
}

// Cells [first, first + tile.cells) to where the grid lays them; `codes` is the place of cell `origin`.
HWY_INLINE void store_cells(const PackedTile& packed, const BlockGrid& grid, std::uint64_t first, int cells,
                            std::uint64_t origin, std::uint8_t* codes) {
  const std::size_t cell_bytes = grid.cell_bytes();
  if (grid.block.kind == BlockKind::small) {
    codes += (first - origin) * cell_bytes;
    const std::size_t words = cell_bytes / 4;
    for (int i = 0; i < cells; ++i, codes += cell_bytes) {
      for (std::size_t w = 0; w < words; ++w) std::memcpy(codes + 4 * w, &packed.words[w][i], 4);
      if (cell_bytes % 4 != 0) std::memcpy(codes + 4 * words, &packed.words[words][i], 2);
    }
    return;
  }
  const std::uint64_t code_origin = grid.code_begin(origin);
  for (int i = 0; i < cells; ++i) {  // words only, fewer of them at the end of a row
    const std::uint64_t cell = first + static_cast<std::uint64_t>(i);
    const std::uint64_t begin = grid.code_begin(cell), end = grid.code_begin(cell + 1);
    for (std::uint64_t w = 0; w < (end - begin) / 4; ++w)
      std::memcpy(codes + (begin - code_origin) + 4 * w, &packed.words[w][i], 4);
  }
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
