// Codes to weights, 16 at a time: the 2N bytes of 16 codes are spread over 32-bit lanes by a byte
// shuffle and a shift, and decoded by integer arithmetic.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/dequantize_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "afp/codec.hpp"
#include "afp/packing.hpp"
#include "host/cpu/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kGroup = 16;  // codes decoded at a time

using DF = HWY_CAPPED(float, kGroup);
using DU = hn::RebindToUnsigned<DF>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;

// Where lane i finds its code in the 16 bytes: code i begins in byte i * N / 8, and two bytes hold it.
struct GroupLayout {
  alignas(64) std::uint8_t bytes[kGroup * 4];
  alignas(64) std::uint32_t shifts[kGroup];

  explicit GroupLayout(int bits) {
    for (int i = 0; i < kGroup; ++i) {
      const int byte = i * bits / 8;
      bytes[4 * i] = static_cast<std::uint8_t>(byte);
      bytes[4 * i + 1] = static_cast<std::uint8_t>(std::min(byte + 1, 15));
      bytes[4 * i + 2] = bytes[4 * i + 3] = 0x80;  // zero
      shifts[i] = static_cast<std::uint32_t>(i * bits % 8);
    }
  }
};

// The value of a code from its bits: shifted into place, with the exponent rebiased. Subnormal codes
// are read one binade up with a leading one, which is then subtracted. Up to 6 bits, a register of 16 lanes
// can do it as a table: of all codes (N <= 4), of those without their sign (5), two of these (6).
inline constexpr int kMaxTableBits = hn::MaxLanes(DF()) == kGroup ? 6 : 0;

struct Decoder {
  explicit Decoder(Format format)
      : magnitude_mask(format.max_magnitude()),
        shift(23 - format.mantissa_bits),
        sign_shift(32 - format.bits()),
        normal_limit(1u << format.mantissa_bits),
        offset(static_cast<std::uint32_t>(127 - format.bias()) << 23),
        min_normal(exp2_int(format.min_normal_exponent())) {
    for (std::uint32_t i = 0; i < 2 * kGroup; ++i) {
      const std::uint32_t code = format.bits() <= 4 ? i % (1u << format.bits()) : i & magnitude_mask;
      table[i] = decode(format, code);
    }
  }

  // `code` may have other codes' bits above its own. kBits is N, 4 stands for up to 4.
  template <int kBits>
  HWY_INLINE VF value(VU code) const {
    const DU du;
    if constexpr (kBits == 4 && kBits <= kMaxTableBits) return look_up(code, 0);
    VF value;
    if constexpr (kBits > kMaxTableBits) {
      value = compute(hn::And(code, hn::Set(du, magnitude_mask)));
    } else {
      value = look_up(code, 0);
      if constexpr (kBits == 6) {
        const auto upper = hn::Ne(hn::And(code, hn::Set(du, 16u)), hn::Zero(du));
        value = hn::IfThenElse(hn::RebindMask(DF(), upper), look_up(code, kGroup), value);
      }
    }
    const VU sign_bit = hn::Set(du, 0x80000000u);
    VU sign;
    if constexpr (kBits == 4)
      sign = hn::And(hn::ShiftLeftSame(code, sign_shift), sign_bit);
    else
      sign = hn::And(hn::ShiftLeft<32 - kBits>(code), sign_bit);
    return hn::BitCast(DF(), hn::Or(hn::BitCast(du, value), sign));
  }

  // Entry code % 16 behind table[first].
  HWY_INLINE VF look_up([[maybe_unused]] VU code, [[maybe_unused]] int first) const {
#if HWY_TARGET == HWY_SCALAR
    return hn::Zero(DF());  // one lane holds no table: not called
#else
    const VU index = hn::And(code, hn::Set(DU(), static_cast<std::uint32_t>(kGroup - 1)));
    return hn::TableLookupLanes(hn::Load(DF(), table + first), hn::IndicesFromVec(DF(), index));
#endif
  }

  HWY_INLINE VF compute(VU magnitude) const {
    const DU du;
    const DI di;
    const DF df;
    const VU placed = hn::Add(hn::ShiftLeftSame(magnitude, shift), hn::Set(du, offset));
    const VF normal = hn::BitCast(df, placed);
    const VF subnormal =
        hn::Sub(hn::BitCast(df, hn::Add(placed, hn::Set(du, 1u << 23))), hn::Set(df, min_normal));
    const auto is_subnormal =
        hn::Lt(hn::BitCast(di, magnitude), hn::Set(di, static_cast<std::int32_t>(normal_limit)));
    return hn::IfThenElse(hn::RebindMask(df, is_subnormal), subnormal, normal);
  }

  std::uint32_t magnitude_mask;
  int shift;
  int sign_shift;
  std::uint32_t normal_limit;
  std::uint32_t offset;
  float min_normal;
  alignas(64) float table[2 * kGroup];  // values of up to 16 codes, else of up to 32 magnitudes
};

#if HWY_TARGET != HWY_SCALAR
HWY_INLINE VU spread_codes(const std::uint8_t* codes, const GroupLayout& layout, int lane) {
  const DU du;
  const hn::Repartition<std::uint8_t, DU> du8;
  const auto bytes = hn::LoadDup128(du8, codes);
  const auto picked = hn::TableLookupBytesOr0(bytes, hn::Load(du8, layout.bytes + 4 * lane));
  return hn::Shr(hn::BitCast(du, picked), hn::Load(du, layout.shifts + lane));
}
#else
HWY_INLINE VU spread_codes(const std::uint8_t* codes, const GroupLayout& layout, int lane) {
  const std::uint32_t low = codes[layout.bytes[4 * lane]], high = codes[layout.bytes[4 * lane + 1]];
  return hn::Set(DU(), (low | high << 8) >> layout.shifts[lane]);
}
#endif

// float32 bits to bf16 / fp16 bits in the low half of the lane: as float_to_bf16 and float_to_f16.
HWY_INLINE VU bf16_bits(VF v) {
  const DU du;
  const DI di;
  const VU bits = hn::BitCast(du, v);
  const VU odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const VU magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFu));
  const VU rounded = hn::ShiftRight<16>(hn::Add(hn::Add(magnitude, hn::Set(du, 0x7FFFu)), odd));
  const auto saturated = hn::Min(hn::BitCast(di, rounded), hn::Set(di, 0x7F7F));
  return hn::Or(hn::BitCast(du, saturated), hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000u)));
}

HWY_INLINE VU f16_bits(VF v) {
  const DU du;
  const DI di;
  const DF df;
  const VU bits = hn::BitCast(du, v);
  const VU magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFu));
  const VU odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
  const VU rounded = hn::Sub(hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, hn::Set(du, 0xFFFu)), odd)),
                             hn::Set(du, 112u << 10));
  const VF shifter = hn::Set(df, 0.5f);
  const VU subnormal =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), shifter)), hn::BitCast(du, shifter));
  const auto is_small = hn::Lt(hn::BitCast(di, magnitude), hn::Set(di, 113 << 23));
  const VU chosen = hn::IfThenElse(hn::RebindMask(du, is_small), subnormal, rounded);
  const auto saturated = hn::Min(hn::BitCast(di, chosen), hn::Set(di, 0x7BFF));
  return hn::Or(hn::BitCast(du, saturated), hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000u)));
}

template <DType dtype>
HWY_INLINE void store_weights(VF v, std::byte* out) {
  if constexpr (dtype == DType::F32) {
    // The product with the tensor's scale may have overflowed.
    const VF largest = hn::Set(DF(), hwy::HighestValue<float>());
    hn::StoreU(hn::Max(hn::Min(v, largest), hn::Neg(largest)), DF(), reinterpret_cast<float*>(out));
  } else {
    const hn::Rebind<std::uint16_t, DF> du16;
    const VU bits = dtype == DType::BF16 ? bf16_bits(v) : f16_bits(v);
    hn::StoreU(hn::TruncateTo(du16, bits), du16, reinterpret_cast<std::uint16_t*>(out));
  }
}

// One cell: its weights are `count`, its codes are readable for 16 bytes behind every group's first.
template <DType dtype, int kBits>
HWY_INLINE void dequantize_cell(const Decoder& decoder, const GroupLayout& layout, int bits, float scale,
                                float tensor_scale, const std::uint8_t* codes, int count, std::byte* out) {
  const DF df;
  constexpr std::size_t kWidth = dtype == DType::F32 ? 4 : 2;
  const VF block_scale = hn::Set(df, scale);
  const VF whole_scale = hn::Set(df, tensor_scale);
  const int lanes = static_cast<int>(hn::Lanes(df));
  int done = 0;
  for (; done + kGroup <= count; done += kGroup, codes += 2 * bits) {
    for (int lane = 0; lane < kGroup; lane += lanes, out += static_cast<std::size_t>(lanes) * kWidth) {
      const VF value = hn::Mul(decoder.value<kBits>(spread_codes(codes, layout, lane)), block_scale);
      store_weights<dtype>(hn::Mul(value, whole_scale), out);
    }
  }
  if (done < count) {
    alignas(64) std::byte group[kGroup * sizeof(float)];
    for (int lane = 0; lane < kGroup; lane += lanes) {
      const VF value = hn::Mul(decoder.value<kBits>(spread_codes(codes, layout, lane)), block_scale);
      store_weights<dtype>(hn::Mul(value, whole_scale), group + static_cast<std::size_t>(lane) * kWidth);
    }
    std::memcpy(out, group, static_cast<std::size_t>(count - done) * kWidth);
  }
}

template <DType dtype, int kBits>
void dequantize_all(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                    const std::uint8_t* scales, const std::uint8_t* codes, std::size_t code_bytes,
                    std::byte* weights) {
  if (cells.count == 0) return;
  constexpr std::size_t kWidth = dtype == DType::F32 ? 4 : 2;
  const Encoding& encoding = codec.encoding;
  const int bits = encoding.bits();
  const GroupLayout layout(bits);
  const Decoder first(encoding.format);
  const Decoder second(encoding.alternative.value_or(encoding.format));
  const bool is_e8m0 = encoding.scale == ScaleKind::e8m0;
  const bool scale_per_cell = grid.block.kind == BlockKind::small;
  const bool scale_per_row = grid.block.kind == BlockKind::row;
  const std::size_t cell_bytes = grid.cell_bytes();
  const int last_count =
      static_cast<int>(grid.columns - (grid.cells_per_row - 1) * static_cast<std::uint64_t>(grid.cell_size));
  const std::size_t last_bytes = grid.row_bytes - (grid.cells_per_row - 1) * cell_bytes;
  std::uint64_t column = cells.first % grid.cells_per_row;
  const std::uint8_t* const codes_end = codes + code_bytes;
  for (std::uint64_t i = 0; i < cells.count; ++i) {
    const bool last = ++column == grid.cells_per_row;
    const int count = last ? last_count : grid.cell_size;
    const std::size_t used = last ? last_bytes : cell_bytes;
    const std::uint8_t byte = *scales;
    const float scale = is_e8m0 ? e8m0_value(byte) : ue4m3_value(byte & 0x7Fu);
    const Decoder& decoder = encoding.alternative && (byte & kUe4m3Alternative) ? second : first;
    // Near the end of the buffer the codes are copied to where 16 bytes can always be read.
    if (HWY_LIKELY(static_cast<std::size_t>(codes_end - codes) >= used + 16)) {
      dequantize_cell<dtype, kBits>(decoder, layout, bits, scale, codec.tensor_scale, codes, count, weights);
    } else {
      std::uint8_t padded[kSegment + 16];
      std::memcpy(padded, codes, used);
      std::memset(padded + used, 0, 16);
      dequantize_cell<dtype, kBits>(decoder, layout, bits, scale, codec.tensor_scale, padded, count, weights);
    }
    codes += used;
    weights += static_cast<std::size_t>(count) * kWidth;
    scales += scale_per_cell || (scale_per_row && last);
    if (last) column = 0;
  }
}

template <DType dtype>
void dequantize(const BlockGrid& grid, CellRange cells, const TensorCodec& codec, const std::uint8_t* scales,
                const std::uint8_t* codes, std::size_t code_bytes, std::byte* weights) {
  const auto run = [&]<int kBits>() HWY_ATTR {
    dequantize_all<dtype, kBits>(grid, cells, codec, scales, codes, code_bytes, weights);
  };
  switch (codec.encoding.bits()) {
    case 5:
      return run.template operator()<5>();
    case 6:
      return run.template operator()<6>();
    case 7:
      return run.template operator()<7>();
    case 8:
      return run.template operator()<8>();
    default:
      return run.template operator()<4>();
  }
}

void dequantize_bf16(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                     const std::uint8_t* scales, const std::uint8_t* codes, std::size_t code_bytes,
                     std::byte* weights) {
  dequantize<DType::BF16>(grid, cells, codec, scales, codes, code_bytes, weights);
}
void dequantize_f16(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                    const std::uint8_t* scales, const std::uint8_t* codes, std::size_t code_bytes,
                    std::byte* weights) {
  dequantize<DType::F16>(grid, cells, codec, scales, codes, code_bytes, weights);
}
void dequantize_f32(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                    const std::uint8_t* scales, const std::uint8_t* codes, std::size_t code_bytes,
                    std::byte* weights) {
  dequantize<DType::F32>(grid, cells, codec, scales, codes, code_bytes, weights);
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(dequantize_bf16);
HWY_EXPORT(dequantize_f16);
HWY_EXPORT(dequantize_f32);

void dequantize_cells(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                      const std::uint8_t* scales, const std::uint8_t* codes, std::size_t code_bytes,
                      DType dtype, std::byte* weights) {
  switch (dtype) {
    case DType::BF16:
      return HWY_DYNAMIC_DISPATCH(dequantize_bf16)(grid, cells, codec, scales, codes, code_bytes, weights);
    case DType::F16:
      return HWY_DYNAMIC_DISPATCH(dequantize_f16)(grid, cells, codec, scales, codes, code_bytes, weights);
    default:
      return HWY_DYNAMIC_DISPATCH(dequantize_f32)(grid, cells, codec, scales, codes, code_bytes, weights);
  }
}
}  // namespace afp::cpu
#endif
