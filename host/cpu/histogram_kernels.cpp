// Counting magnitudes into equal bins: a register of weights estimates its bins by one multiplication, and
// asks LinearHistogram's own definition where one of them lies too near an edge.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/histogram_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <cmath>
#include <cstring>

#include "afp/codec.hpp"
#include "host/cpu/kernels.hpp"

#ifndef AFP_HOST_CPU_HISTOGRAM_KERNELS_
#define AFP_HOST_CPU_HISTOGRAM_KERNELS_
namespace afp::cpu {
inline constexpr std::size_t kHistogramTables = 4;  // of small histograms
}
#endif

HWY_BEFORE_NAMESPACE();
namespace afp::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// counts: kTables tables of bins() + 1 numbers, the last of them for weights above the limit. Neighbouring
// weights, which often fall into one bin, count in different tables and do not wait for each other.
template <std::size_t kTables>
HWY_INLINE void count_in_tables(const std::byte* weights, std::uint64_t count,
                                const LinearHistogram& histogram, std::uint32_t* counts) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const std::size_t lanes = hn::Lanes(df), bins = histogram.bins(), stride = bins + 1;
  const float limit_value = histogram.limit();
  const auto per_bin_value = static_cast<float>(static_cast<double>(bins) / static_cast<double>(limit_value));
  // The product below is off by at most 2^-23 of its value, and edges are rounded by 2^-24.
  const float margin_value = static_cast<float>(bins) * 0x1p-22f;

  std::uint32_t* tables[kTables];
  for (std::size_t t = 0; t < kTables; ++t) tables[t] = counts + t * stride;
  const auto limit = hn::Set(df, limit_value), per_bin = hn::Set(df, per_bin_value);
  const auto margin = hn::Set(df, margin_value), far_margin = hn::Set(df, 1.0f - margin_value);
  const auto above = hn::Set(di, static_cast<std::int32_t>(bins));
  alignas(64) std::int32_t indices[HWY_MAX_BYTES / sizeof(std::int32_t)];
  const auto bin_of = [&](std::uint64_t i) {
    float weight;
    std::memcpy(&weight, weights + 4 * i, sizeof weight);
    const float magnitude = bits_float(float_bits(weight) & 0x7FFFFFFFu);
    return magnitude <= limit_value ? histogram.bin_of(magnitude) : bins;
  };
  std::uint64_t i = 0;
  if (std::isfinite(per_bin_value)) {
    for (; i + lanes <= count; i += lanes) {
      const auto magnitude = hn::Abs(hn::LoadU(df, reinterpret_cast<const float*>(weights) + i));
      const auto within = hn::Le(magnitude, limit);
      const auto place = hn::Mul(hn::IfThenElseZero(within, magnitude), per_bin);
      const auto bin = hn::ConvertTo(di, place);
      const auto whole = hn::ConvertTo(df, bin);
      const auto rest = hn::Sub(place, whole);
      const auto near_lower = hn::And(hn::Lt(rest, margin), hn::Gt(whole, hn::Zero(df)));
      if (HWY_UNLIKELY(!hn::AllFalse(df, hn::Or(near_lower, hn::Gt(rest, far_margin))))) {
        for (std::size_t l = 0; l < lanes; ++l) indices[l] = static_cast<std::int32_t>(bin_of(i + l));
      } else {
        hn::Store(hn::IfThenElse(hn::RebindMask(di, within), bin, above), di, indices);
      }
      for (std::size_t l = 0; l < lanes; ++l) ++tables[l % kTables][indices[l]];
    }
  }
  for (; i < count; ++i) ++counts[bin_of(i)];
}

void count_floats(const std::byte* weights, std::uint64_t count, const LinearHistogram& histogram,
                  std::size_t tables, std::uint32_t* counts) {
  if (tables == kHistogramTables)
    count_in_tables<kHistogramTables>(weights, count, histogram, counts);
  else
    count_in_tables<1>(weights, count, histogram, counts);
}

}  // namespace afp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace afp::cpu {
HWY_EXPORT(count_floats);

std::vector<std::uint64_t> histogram_counts(const std::byte* weights, DType dtype, std::uint64_t count,
                                            const LinearHistogram& histogram) {
  if (dtype != DType::F32) {
    Statistics statistics(dtype);
    statistics.add(weights, count);
    LinearHistogram part(histogram.limit(), histogram.bins());
    part.add(statistics);
    return {part.counts().begin(), part.counts().end()};
  }
  constexpr std::size_t kSmallTable = 16384;
  constexpr std::uint64_t kMost = 0xFFFFFFFFu;  // weights that a table's numbers can count
  const std::size_t tables = histogram.bins() < kSmallTable ? kHistogramTables : 1,
                    stride = histogram.bins() + 1;
  std::vector<std::uint64_t> result(histogram.bins());
  std::vector<std::uint32_t> counts(tables * stride);
  for (std::uint64_t done = 0; done < count; done += kMost) {
    if (done != 0) std::fill(counts.begin(), counts.end(), 0u);
    HWY_DYNAMIC_DISPATCH(count_floats)
    (weights + 4 * done, std::min(kMost, count - done), histogram, tables, counts.data());
    for (std::size_t t = 0; t < tables; ++t)
      for (std::size_t b = 0; b < result.size(); ++b) result[b] += counts[t * stride + b];
  }
  return result;
}

}  // namespace afp::cpu
#endif
