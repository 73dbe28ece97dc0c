// The extent of weights: largest magnitude, zeros, non-finite values. Works on the raw bits, whose
// order is that of the magnitudes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/extent_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "afp/codec.hpp"
#include "host/cpu/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// T: the unsigned integer as wide as a weight. Signed comparisons, as every target has them.
template <class T>
RawExtent raw_extent(const std::byte* weights, std::uint64_t count) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  using TI = hn::TFromD<decltype(di)>;
  const auto magnitude_mask = hn::Set(d, static_cast<T>(~T{0}) >> 1);
  const std::size_t lanes = hn::Lanes(d);
  const T* p = reinterpret_cast<const T*>(weights);
  RawExtent result;
  auto largest = hn::Zero(di);
  std::uint64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto magnitude = hn::BitCast(di, hn::And(hn::LoadU(d, p + i), magnitude_mask));
    largest = hn::Max(largest, magnitude);
    result.zeros += hn::CountTrue(di, hn::Eq(magnitude, hn::Zero(di)));
  }
  TI lane_largest[HWY_MAX_BYTES / sizeof(TI)];
  hn::StoreU(largest, di, lane_largest);
  for (std::size_t l = 0; l < lanes; ++l)
    result.largest = std::max(result.largest, static_cast<std::uint32_t>(lane_largest[l]));
  for (; i < count; ++i) {
    T bits;
    std::memcpy(&bits, weights + i * sizeof(T), sizeof bits);
    bits = static_cast<T>(bits & (static_cast<T>(~T{0}) >> 1));
    result.largest = std::max(result.largest, static_cast<std::uint32_t>(bits));
    result.zeros += bits == 0;
  }
  return result;
}

RawExtent raw_extent_16(const std::byte* weights, std::uint64_t count) {
  return raw_extent<std::uint16_t>(weights, count);
}
RawExtent raw_extent_32(const std::byte* weights, std::uint64_t count) {
  return raw_extent<std::uint32_t>(weights, count);
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(raw_extent_16);
HWY_EXPORT(raw_extent_32);

namespace {

// The rare slow path: the largest finite magnitude and the number of non-finite weights.
template <class T>
void count_nonfinite(const std::byte* weights, std::uint64_t count, T infinity, std::uint32_t& largest,
                     std::uint64_t& nonfinite) {
  largest = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    T bits;
    std::memcpy(&bits, weights + i * sizeof(T), sizeof bits);
    bits = static_cast<T>(bits & (static_cast<T>(~T{0}) >> 1));
    if (bits >= infinity)
      ++nonfinite;
    else
      largest = std::max(largest, static_cast<std::uint32_t>(bits));
  }
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
  Extent extent;
  std::uint32_t largest;
  if (dtype == DType::F32) {
    const auto raw = HWY_DYNAMIC_DISPATCH(raw_extent_32)(weights, count);
    largest = raw.largest;
    extent.zeros = raw.zeros;
    if (largest >= 0x7F800000u)
      count_nonfinite<std::uint32_t>(weights, count, 0x7F800000u, largest, extent.nonfinite);
    extent.absmax = bits_float(largest);
  } else {
    const auto infinity = static_cast<std::uint16_t>(dtype == DType::BF16 ? 0x7F80 : 0x7C00);
    const auto raw = HWY_DYNAMIC_DISPATCH(raw_extent_16)(weights, count);
    largest = raw.largest;
    extent.zeros = raw.zeros;
    if (largest >= infinity)
      count_nonfinite<std::uint16_t>(weights, count, infinity, largest, extent.nonfinite);
    const auto bits = static_cast<std::uint16_t>(largest);
    extent.absmax = dtype == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
  }
  return extent;
}

}  // namespace afp::cpu
#endif
