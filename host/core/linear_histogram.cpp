// Counting magnitudes into equal bins, one weight after another: the definition.
#include "afp/linear_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "afp/codec.hpp"
#include "afp/error.hpp"

namespace afp {

LinearHistogram::LinearHistogram(float limit, std::uint64_t bins) {
  if (!(limit > 0.0f) || !std::isfinite(limit))
    throw UsageError("a histogram's limit is " + std::to_string(limit) + "; expected a positive number");
  if (bins == 0 || bins > kMostBins)
    throw UsageError("a histogram of " + std::to_string(bins) + " bins; expected 1 to " +
                     std::to_string(kMostBins));
  const double step = static_cast<double>(limit) / static_cast<double>(bins);
  edges_.resize(bins + 1);
  for (std::size_t i = 0; i < bins; ++i) edges_[i] = static_cast<float>(static_cast<double>(i) * step);
  edges_[bins] = limit;
  counts_.resize(bins);
  per_bin_ = static_cast<double>(bins) / static_cast<double>(limit);
}

std::uint64_t LinearHistogram::square_root_rule(float limit, float smallest, std::uint64_t count) {
  const double width = static_cast<double>(limit - smallest) / std::sqrt(static_cast<double>(count));
  if (!(width > 0.0)) return 1;
  const double bins = std::ceil(static_cast<double>(limit) / width);
  return bins < static_cast<double>(kMostBins) ? static_cast<std::uint64_t>(bins) : kMostBins;
}

void LinearHistogram::add(DType dtype, const std::byte* weights, std::uint64_t count) {
  if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
    throw UsageError("no histogram of " + std::string(dtype_name(dtype)) +
                     " weights; expected BF16, F16 or F32");
  for (std::uint64_t i = 0; i < count; ++i) {
    float magnitude;
    if (dtype == DType::F32) {
      std::memcpy(&magnitude, weights + 4 * i, sizeof magnitude);
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, weights + 2 * i, sizeof bits);
      magnitude = dtype == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
    }
    magnitude = bits_float(float_bits(magnitude) & 0x7FFFFFFFu);
    if (magnitude <= limit()) ++counts_[bin_of(magnitude)];  // false for a NaN
  }
}

void LinearHistogram::add(const Statistics& statistics) {
  if (statistics.dtype() == DType::F32)
    throw UsageError("Statistics of F32 weights do not tell their histogram; expected BF16 or F16");
  const auto take = [&](std::size_t index) {
    const Statistics::Key key = statistics.key(index);
    if (key.count != 0 && key.base <= limit()) counts_[bin_of(key.base)] += key.count;
  };
  take(0);
  for (std::size_t i = std::max<std::size_t>(1, statistics.first_key()); i < statistics.end_key(); ++i)
    take(i);
}

void LinearHistogram::add_counts(std::span<const std::uint64_t> counts) {
  if (counts.size() != counts_.size())
    throw UsageError("counts of " + std::to_string(counts.size()) + " bins cannot be added to " +
                     std::to_string(counts_.size()));
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += counts[i];
}

void LinearHistogram::merge(const LinearHistogram& other) {
  if (other.edges_ != edges_) throw UsageError("histograms of other limits or bins cannot be added");
  add_counts(other.counts_);
}

}  // namespace afp
