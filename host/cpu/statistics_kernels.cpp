// Statistics of F32 weights: a register of weights at a time becomes keys and packed sums, which are then
// added to a table, one 16-byte addition a weight.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/statistics_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "afp/codec.hpp"
#include "host/cpu/kernels.hpp"

#ifndef AFP_HOST_CPU_STATISTICS_KERNELS_
#define AFP_HOST_CPU_STATISTICS_KERNELS_
namespace afp::cpu {

// Magnitude bits, those of non-finite weights included.
struct MagnitudeRange {
  std::uint32_t largest = 0;
  std::uint32_t below_smallest = 0xFFFFFFFFu;  // one less than the smallest but zero
};

}  // namespace afp::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Bin = Statistics::PackedBin;

HWY_INLINE void count_one(std::uint32_t bits, Bin* table, MagnitudeRange& range) {
  const std::uint64_t r = bits & 0x7FFFu;
  range.largest = std::max(range.largest, bits);
  range.below_smallest = std::min(range.below_smallest, bits - 1);
  Bin& bin = table[bits >> 15];
  bin.low += 1 + (r << Bin::kSumShift);
  bin.high += r * r + (std::uint64_t{r == 0} << Bin::kBaseShift);
}

MagnitudeRange count_keys(const std::byte* weights, std::uint64_t count, Bin* table) {
  MagnitudeRange range;
  std::uint64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<std::uint32_t> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Repartition<std::uint64_t, decltype(d)> d64;
  const hn::Full128<std::uint64_t> pair;
  const std::size_t lanes = hn::Lanes(d);
  const auto* p = reinterpret_cast<const std::uint32_t*>(weights);
  auto largest = hn::Zero(di);
  auto below_smallest = hn::Set(d, 0xFFFFFFFFu);
  alignas(64) std::uint32_t keys[HWY_MAX_BYTES / 4];
  alignas(64) std::uint64_t even[HWY_MAX_BYTES / 4], odd[HWY_MAX_BYTES / 4];  // low, high, low, high, ...
  const auto store_sums = [&](auto r, std::uint64_t* sums) HWY_ATTR {
    const auto low = hn::Add(hn::Set(d64, 1u), hn::ShiftLeft<Bin::kSumShift>(r));
    const auto r32 = hn::BitCast(d, r);
    const auto base =
        hn::IfThenElseZero(hn::Eq(r, hn::Zero(d64)), hn::Set(d64, std::uint64_t{1} << Bin::kBaseShift));
    hn::StoreInterleaved2(low, hn::Add(hn::MulEven(r32, r32), base), d64, sums);
  };
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::And(hn::LoadU(d, p + i), hn::Set(d, 0x7FFFFFFFu));
    largest = hn::Max(largest, hn::BitCast(di, bits));
    below_smallest = hn::Min(below_smallest, hn::Sub(bits, hn::Set(d, 1u)));
    hn::Store(hn::ShiftRight<15>(bits), d, keys);
    const auto r = hn::BitCast(d64, hn::And(bits, hn::Set(d, 0x7FFFu)));
    store_sums(hn::And(r, hn::Set(d64, 0x7FFFu)), even);
    store_sums(hn::ShiftRight<32>(r), odd);
    for (std::size_t l = 0; l < lanes; l += 2) {
      std::uint64_t* const first = &table[keys[l]].low;
      hn::StoreU(hn::Add(hn::LoadU(pair, first), hn::Load(pair, even + l)), pair, first);
      std::uint64_t* const second = &table[keys[l + 1]].low;
      hn::StoreU(hn::Add(hn::LoadU(pair, second), hn::Load(pair, odd + l)), pair, second);
    }
  }
  alignas(64) std::int32_t most[HWY_MAX_BYTES / 4];
  hn::Store(largest, di, most);
  hn::Store(below_smallest, d, keys);
  for (std::size_t l = 0; l < lanes; ++l) {
    range.largest = std::max(range.largest, static_cast<std::uint32_t>(most[l]));
    range.below_smallest = std::min(range.below_smallest, keys[l]);
  }
#endif
  for (; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, weights + 4 * i, sizeof bits);
    count_one(bits & 0x7FFFFFFFu, table, range);
  }
  return range;
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(count_keys);

namespace {

// Of every thread that counts F32 weights, 1 MiB; all zero between two uses.
std::vector<Statistics::PackedBin>& packed_table() {
  thread_local std::vector<Statistics::PackedBin> table(std::size_t{1} << 16);
  return table;
}

void add_floats(const std::byte* weights, std::uint64_t count, Statistics& statistics) {
  std::vector<Statistics::PackedBin>& table = packed_table();
  const MagnitudeRange range = HWY_DYNAMIC_DISPATCH(count_keys)(weights, count, table.data());
  const std::size_t first = range.largest == 0 ? 1 : (range.below_smallest + 1) >> 15;
  const std::size_t end = (range.largest >> 15) + 1;
  float largest = bits_float(range.largest);
  if (range.largest >= 0x7F800000u) largest = weights_extent(weights, DType::F32, count).absmax;
  struct Clear {  // whatever happens below
    std::vector<Statistics::PackedBin>& table;
    std::size_t first, end;
    ~Clear() {
      table[0] = {};
      if (first < end)
        std::fill(table.begin() + static_cast<std::ptrdiff_t>(first),
                  table.begin() + static_cast<std::ptrdiff_t>(end), Statistics::PackedBin{});
    }
  } clear{table, first, end};
  const std::span<const Statistics::PackedBin> bins(table);
  if (first > 0) statistics.add_packed(0, bins.first(1), 0.0f);  // zeros
  if (first < end) statistics.add_packed(first, bins.subspan(first, end - first), largest);
}

}  // namespace

void add_weights(const std::byte* weights, std::uint64_t count, Statistics& statistics) {
  if (statistics.dtype() != DType::F32) return statistics.add(weights, count);
  constexpr std::uint64_t kMost = Statistics::PackedBin::kMostWeights;
  for (std::uint64_t done = 0; done < count; done += kMost)
    add_floats(weights + 4 * done, std::min(kMost, count - done), statistics);
}

}  // namespace afp::cpu
#endif
