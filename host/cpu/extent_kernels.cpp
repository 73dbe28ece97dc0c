// The extent of weights: largest and smallest, zeros, non-finite values; and how many lie within a limit.
// Works on the raw bits, whose order is that of the magnitudes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/extent_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "afp/codec.hpp"
#include "host/cpu/kernels.hpp"

#ifndef AFP_HOST_CPU_RAW_EXTENT_
#define AFP_HOST_CPU_RAW_EXTENT_
namespace afp::cpu {

// Bits of weights, those of non-finite ones included.
struct RawExtent {
  std::uint32_t absmax = 0;                // magnitude
  std::uint32_t smallest = 0xFFFFFFFFu;    // magnitude
  std::int32_t ordered = -0x7FFFFFFF - 1;  // the largest weight, as an integer that orders like weights
  std::uint64_t zeros = 0;
};

}  // namespace afp::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// T: the unsigned integer as wide as a weight. Signed comparisons, as every target has them; count > 0.
template <class T>
RawExtent raw_extent(const std::byte* weights, std::uint64_t count) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  using TI = hn::TFromD<decltype(di)>;
  constexpr T kMagnitude = static_cast<T>(static_cast<T>(~T{0}) >> 1);
  const auto magnitude_mask = hn::Set(di, static_cast<TI>(kMagnitude));
  const std::size_t lanes = hn::Lanes(d);
  const T* p = reinterpret_cast<const T*>(weights);
  RawExtent result;
  auto largest = hn::Zero(di), smallest = magnitude_mask,
       ordered = hn::Set(di, std::numeric_limits<TI>::min());
  std::uint64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::BitCast(di, hn::LoadU(d, p + i));
    const auto magnitude = hn::And(bits, magnitude_mask);
    largest = hn::Max(largest, magnitude);
    smallest = hn::Min(smallest, magnitude);
    // Of negative weights the magnitude bits inverted: integers then order like the weights.
    const auto sign = hn::ShiftRight<8 * sizeof(T) - 1>(bits);
    ordered = hn::Max(ordered, hn::Xor(bits, hn::And(sign, magnitude_mask)));
    result.zeros += hn::CountTrue(di, hn::Eq(magnitude, hn::Zero(di)));
  }
  TI lane_largest[HWY_MAX_BYTES / sizeof(TI)], lane_smallest[HWY_MAX_BYTES / sizeof(TI)],
      lane_ordered[HWY_MAX_BYTES / sizeof(TI)];
  hn::StoreU(largest, di, lane_largest);
  hn::StoreU(smallest, di, lane_smallest);
  hn::StoreU(ordered, di, lane_ordered);
  const auto take = [&](TI most, TI least, TI order) {
    result.absmax = std::max(result.absmax, static_cast<std::uint32_t>(most));
    result.smallest = std::min(result.smallest, static_cast<std::uint32_t>(least));
    result.ordered = std::max(result.ordered, static_cast<std::int32_t>(order));
  };
  if (count >= lanes)
    for (std::size_t l = 0; l < lanes; ++l) take(lane_largest[l], lane_smallest[l], lane_ordered[l]);
  for (; i < count; ++i) {
    TI bits;
    std::memcpy(&bits, weights + i * sizeof(T), sizeof bits);
    const auto magnitude = static_cast<TI>(static_cast<T>(bits) & kMagnitude);
    take(magnitude, magnitude, static_cast<TI>(bits < 0 ? bits ^ static_cast<TI>(kMagnitude) : bits));
    result.zeros += magnitude == 0;
  }
  return result;
}

template <class T>
std::uint64_t raw_count_within(const std::byte* weights, std::uint64_t count, T limit) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  using TI = hn::TFromD<decltype(di)>;
  constexpr T kMagnitude = static_cast<T>(static_cast<T>(~T{0}) >> 1);
  const auto magnitude_mask = hn::Set(di, static_cast<TI>(kMagnitude));
  const auto most = hn::Set(di, static_cast<TI>(limit));
  const std::size_t lanes = hn::Lanes(d);
  const T* p = reinterpret_cast<const T*>(weights);
  std::uint64_t total = 0, i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto magnitude = hn::And(hn::BitCast(di, hn::LoadU(d, p + i)), magnitude_mask);
    total += lanes - hn::CountTrue(di, hn::Gt(magnitude, most));
  }
  for (; i < count; ++i) {
    T bits;
    std::memcpy(&bits, weights + i * sizeof(T), sizeof bits);
    total += static_cast<T>(bits & kMagnitude) <= limit;
  }
  return total;
}

RawExtent raw_extent_16(const std::byte* weights, std::uint64_t count) {
  return raw_extent<std::uint16_t>(weights, count);
}
RawExtent raw_extent_32(const std::byte* weights, std::uint64_t count) {
  return raw_extent<std::uint32_t>(weights, count);
}
std::uint64_t count_within_16(const std::byte* weights, std::uint64_t count, std::uint16_t limit) {
  return raw_count_within<std::uint16_t>(weights, count, limit);
}
std::uint64_t count_within_32(const std::byte* weights, std::uint64_t count, std::uint32_t limit) {
  return raw_count_within<std::uint32_t>(weights, count, limit);
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(raw_extent_16);
HWY_EXPORT(raw_extent_32);
HWY_EXPORT(count_within_16);
HWY_EXPORT(count_within_32);

namespace {

float to_float(DType dtype, std::uint32_t bits) {
  switch (dtype) {
    case DType::BF16:
      return bf16_to_float(static_cast<std::uint16_t>(bits));
    case DType::F16:
      return f16_to_float(static_cast<std::uint16_t>(bits));
    default:
      return bits_float(bits);
  }
}

// The rare slow path: non-finite weights counted and left out.
template <class T>
void take_finite(const std::byte* weights, DType dtype, std::uint64_t count, T infinity, Extent& extent) {
  for (std::uint64_t i = 0; i < count; ++i) {
    T bits;
    std::memcpy(&bits, weights + i * sizeof(T), sizeof bits);
    const auto magnitude_bits = static_cast<T>(bits & (static_cast<T>(~T{0}) >> 1));
    if (magnitude_bits >= infinity) {
      ++extent.nonfinite;
      continue;
    }
    const float magnitude = to_float(dtype, magnitude_bits);
    extent.absmax = std::max(extent.absmax, magnitude);
    extent.smallest_magnitude = std::min(extent.smallest_magnitude, magnitude);
    extent.largest = std::max(extent.largest, to_float(dtype, bits));
  }
}

template <class T>
Extent extent_of(const std::byte* weights, DType dtype, std::uint64_t count, const RawExtent& raw,
                 T infinity) {
  Extent extent;
  extent.zeros = raw.zeros;
  if (raw.absmax >= infinity) {
    take_finite<T>(weights, dtype, count, infinity, extent);
    return extent;
  }
  const auto magnitude = static_cast<std::int32_t>(static_cast<T>(~T{0}) >> 1);
  extent.absmax = to_float(dtype, raw.absmax);
  extent.smallest_magnitude = to_float(dtype, raw.smallest);
  extent.largest =
      to_float(dtype, static_cast<std::uint32_t>(raw.ordered < 0 ? raw.ordered ^ magnitude : raw.ordered));
  return extent;
}

}  // namespace

std::string simd_target() {
  for (std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0;) {
    const std::int64_t best = targets & (~targets + 1);
    return hwy::TargetName(best);
  }
  return "SCALAR";
}

Extent weights_extent(const std::byte* weights, DType dtype, std::uint64_t count) {
  if (count == 0) return {};
  if (dtype == DType::F32) {
    const RawExtent raw = HWY_DYNAMIC_DISPATCH(raw_extent_32)(weights, count);
    return extent_of<std::uint32_t>(weights, dtype, count, raw, 0x7F800000u);
  }
  const RawExtent raw = HWY_DYNAMIC_DISPATCH(raw_extent_16)(weights, count);
  return extent_of<std::uint16_t>(weights, dtype, count, raw, dtype == DType::BF16 ? 0x7F80 : 0x7C00);
}

std::uint64_t count_within(const std::byte* weights, DType dtype, std::uint64_t count, float limit) {
  if (dtype == DType::F32) return HWY_DYNAMIC_DISPATCH(count_within_32)(weights, count, float_bits(limit));
  return HWY_DYNAMIC_DISPATCH(count_within_16)(weights, count,
                                               static_cast<std::uint16_t>(last_key_at(dtype, limit)));
}

}  // namespace afp::cpu
#endif
