// The baseline of the sweep: plain C++ with the standard library's functions.
#include "seed_baseline.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "afp/seed_search.hpp"

namespace afp::bench {
namespace {

std::vector<float> levels_of(float absmax, int exponent_bits, int mantissa_bits) {
  const int steps = 1 << mantissa_bits;
  std::vector<double> significands;
  for (int j = 0; j < steps; ++j) significands.push_back(1.0 + static_cast<double>(j) / steps);
  const double goal =
      exponent_bits > 0 ? static_cast<double>(absmax) / significands.back() : significands.back() - 1.0;
  const int upper = static_cast<int>(std::ceil(std::log2(goal)));
  const int lower = upper + 1 - (1 << exponent_bits);
  std::vector<float> levels;
  for (const double r : significands) levels.push_back(static_cast<float>(std::ldexp(r - 1.0, lower + 1)));
  for (int i = lower + 1; i <= upper; ++i)
    for (const double r : significands) levels.push_back(static_cast<float>(std::ldexp(r, i)));
  return levels;
}

std::size_t by_search(const std::vector<float>& levels, float magnitude) {
  const auto above = std::lower_bound(levels.begin(), levels.end(), magnitude);
  if (above == levels.end()) return levels.size() - 1;
  if (above == levels.begin()) return 0;
  const auto i = static_cast<std::size_t>(above - levels.begin());
  return magnitude - levels[i - 1] <= levels[i] - magnitude ? i - 1 : i;
}

std::size_t by_all_distances(const std::vector<float>& levels, float magnitude) {
  std::size_t best = 0;
  float least = std::abs(magnitude - levels[0]);
  for (std::size_t i = 1; i < levels.size(); ++i) {
    const float distance = std::abs(magnitude - levels[i]);
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return best;
}

double divergence(const std::vector<float>& weights, int exponent_bits, int mantissa_bits,
                  SeedNearest nearest) {
  float absmax = 0.0f, largest = 0.0f;
  for (const float w : weights) {
    absmax = std::max(absmax, std::abs(w));
    largest = std::max(largest, w);
  }
  const std::vector<float> levels = levels_of(absmax, exponent_bits, mantissa_bits);
  std::vector<std::uint64_t> counts(levels.size());
  for (const float w : weights)
    ++counts[nearest == SeedNearest::binary_search ? by_search(levels, std::abs(w))
                                                   : by_all_distances(levels, std::abs(w))];

  float smallest = absmax;
  std::size_t within = 0;
  for (const float w : weights) {
    smallest = std::min(smallest, std::abs(w));
    within += std::abs(w) <= largest;
  }
  const double width = static_cast<double>(largest - smallest) / std::sqrt(static_cast<double>(within));
  const auto bins = static_cast<std::size_t>(std::ceil(static_cast<double>(largest) / width));
  std::vector<float> edges;
  for (std::size_t i = 0; i < bins; ++i)
    edges.push_back(static_cast<float>(static_cast<double>(i) *
                                       (static_cast<double>(largest) / static_cast<double>(bins))));
  edges.push_back(largest);
  std::vector<std::uint64_t> histogram(bins);
  const double per_bin = static_cast<double>(bins) / static_cast<double>(largest);
  for (const float w : weights) {
    const float magnitude = std::abs(w);
    if (magnitude > largest) continue;
    std::size_t bin = std::min(bins - 1, static_cast<std::size_t>(static_cast<double>(magnitude) * per_bin));
    if (magnitude < edges[bin])
      --bin;
    else if (bin + 1 < bins && magnitude >= edges[bin + 1])
      ++bin;
    ++histogram[bin];
  }

  std::vector<double> shares;
  double running = 0.0;
  for (const std::uint64_t count : counts)
    shares.push_back((running += static_cast<double>(count)) / static_cast<double>(weights.size()));
  double sum = 0.0, below = 0.0;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < bins; ++i) {
    below += static_cast<double>(histogram[i]);
    const double p = below / static_cast<double>(within),
                 x = static_cast<double>(edges[i]) + static_cast<double>(edges[i + 1]);
    const auto above =
        static_cast<std::size_t>(std::upper_bound(levels.begin(), levels.end(), x) - levels.begin());
    const double q = above == levels.size()
                         ? shares.back()
                         : shares[above - 1] + (shares[above] - shares[above - 1]) *
                                                   (x - static_cast<double>(levels[above - 1])) /
                                                   static_cast<double>(levels[above] - levels[above - 1]);
    if (p * q <= 0.0) continue;
    sum += (p - q) * std::log2(p / q);
    ++compared;
  }
  return sum / static_cast<double>(compared);
}

}  // namespace

std::vector<double> seed_baseline(const std::vector<std::vector<float>>& tensors, SeedNearest nearest) {
  std::vector<double> averages;
  for (const SeedCandidate& candidate : seed_candidates()) {
    double sum = 0.0;
    for (const std::vector<float>& weights : tensors)
      sum += divergence(weights, candidate.exponent_bits, candidate.mantissa_bits(), nearest);
    averages.push_back(sum / static_cast<double>(tensors.size()));
  }
  return averages;
}

}  // namespace afp::bench
