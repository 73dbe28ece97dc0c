// LinearHistogram: how many magnitudes fall into each of n equal bins between 0 and a limit, as numpy's
// histogram of float32 values counts them. The kl objectives compare it with the values of a candidate.
//
//     edge(i) = i * (limit / n), computed in double and rounded to float32; edge(n) = limit
//     bin i   = magnitudes in [edge(i), edge(i + 1)), the last bin with its upper edge
//
// Magnitudes above the limit, and non-finite ones, are not counted. Counts are integers: pieces may be added
// in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/statistics.hpp"
#include "afp/tensor.hpp"

namespace afp {

// The bin of a magnitude from 0 to the limit, edges[bins]; per_bin = bins / limit. (Where the edges of a
// limit near the ends of float32's range coincide, the last of them.)
AFP_HD inline std::uint32_t linear_bin(const float* edges, std::uint32_t bins, double per_bin,
                                       float magnitude) {
  const std::uint32_t last = bins - 1;
  // In double, so no more than the bin or, where the edge above was rounded down to it, the one before.
  auto bin = static_cast<std::uint32_t>(static_cast<double>(magnitude) * per_bin);
  bin = bin < last ? bin : last;
  while (bin < last && magnitude >= edges[bin + 1]) ++bin;
  return bin;
}

class LinearHistogram {
 public:
  static constexpr std::uint64_t kMostBins = std::uint64_t{1} << 20;

  // limit > 0 and finite, 1 <= bins <= kMostBins; throws UsageError otherwise.
  LinearHistogram(float limit, std::uint64_t bins);

  // numpy's bins='sqrt' for `count` magnitudes between `smallest` and the limit: the limit divided by
  // (limit - smallest) / sqrt(count), rounded up; 1 where all are equal, kMostBins at most.
  static std::uint64_t square_root_rule(float limit, float smallest, std::uint64_t count);

  float limit() const { return edges_.back(); }
  std::size_t bins() const { return counts_.size(); }
  std::span<const float> edges() const { return edges_; }  // bins() + 1 of them
  std::span<const std::uint64_t> counts() const { return counts_; }

  double per_bin() const { return per_bin_; }  // bins() / limit(): a first guess at the bin

  // Of a magnitude from 0 to the limit: linear_bin().
  std::size_t bin_of(float magnitude) const {
    return linear_bin(edges_.data(), static_cast<std::uint32_t>(counts_.size()), per_bin_, magnitude);
  }

  // Adds `count` weights of BF16, F16 or F32, in memory as in a file (any alignment).
  void add(DType dtype, const std::byte* weights, std::uint64_t count);
  // Adds the weights that Statistics of BF16 or F16 have counted: there a key is one value.
  void add(const Statistics& statistics);
  void add_counts(std::span<const std::uint64_t> counts);  // one a bin
  void merge(const LinearHistogram& other);                // of the same limit and bins

  friend bool operator==(const LinearHistogram&, const LinearHistogram&) = default;

 private:
  std::vector<float> edges_;
  std::vector<std::uint64_t> counts_;
  double per_bin_ = 0.0;
};

}  // namespace afp
