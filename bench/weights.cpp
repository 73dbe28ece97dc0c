// Bodies of weights.hpp. 16 random bits choose one of 65,536 quantiles: no transcendental function a
// weight, which makes a gigabyte a matter of a second, and tails as far out as a row of weights has them.
#include "weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "afp/codec.hpp"

namespace afp::bench {
namespace {

constexpr std::size_t kQuantiles = 65536;
constexpr double kTypicalWeight = 0.02;
constexpr double kRowSpread = 0.4;            // of the logarithm of a row's scale
constexpr std::uint64_t kOutlierEvery = 512;  // columns, on average
constexpr float kOutlierScale = 8.0f;

// splitmix64: its finalizer of an arithmetic progression, the place in it given directly.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t counter) {
  std::uint64_t x = seed * 0xD1342543DE82EF95u + (counter + 1) * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// What the generator is asked for, each from a seed of its own.
std::uint64_t row_stream(std::uint64_t seed) {
  return random_bits(seed, 0);
}
std::uint64_t column_stream(std::uint64_t seed) {
  return random_bits(seed, 1);
}
std::uint64_t weight_stream(std::uint64_t seed, std::uint64_t row) {
  return random_bits(random_bits(seed, 2), row);
}

// Student's t with 4 degrees of freedom has a quantile in closed form; p < 1/2.
double student_quantile(double p) {
  const double root = std::sqrt(4.0 * p * (1.0 - p));
  return -2.0 * std::sqrt(std::cos(std::acos(root) / 3.0) / root - 1.0);
}

// The normal distribution's by Newton's method from `start`, which must lie above the solution (there the
// distribution function is convex); p < 1/2.
double normal_quantile(double p, double start) {
  double x = start;
  for (int step = 0; step < 50; ++step) {
    const double excess = 0.5 * std::erfc(-x / std::numbers::sqrt2) - p;
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
    x -= excess / density;
    if (std::abs(excess) < 1e-13 * p) break;
  }
  return x;
}

// The lower half is computed, from the middle outward; the upper half mirrors it.
template <class Quantile>
std::vector<float> quantile_table(const Quantile& quantile) {
  std::vector<float> table(kQuantiles);
  double x = 0.0;
  for (std::size_t i = kQuantiles / 2; i-- > 0;) {
    x = quantile((static_cast<double>(i) + 0.5) / kQuantiles, x);
    table[i] = static_cast<float>(x);
    table[kQuantiles - 1 - i] = static_cast<float>(-x);
  }
  return table;
}

const std::vector<float>& quantiles_of(Tails tails) {
  static const std::vector<float> normal = quantile_table(normal_quantile);
  static const std::vector<float> student =
      quantile_table([](double p, double) { return student_quantile(p); });
  return tails == Tails::gaussian ? normal : student;
}

}  // namespace

WeightRows::WeightRows(Tails tails, std::uint64_t seed, std::uint64_t columns)
    : seed_(seed),
      equal_rows_(tails == Tails::gaussian),
      column_scales_(columns, 1.0f),
      quantiles_(quantiles_of(tails)) {
  if (tails == Tails::gaussian) return;
  for (std::uint64_t c = 0; c < columns; ++c)
    if (random_bits(column_stream(seed), c) % kOutlierEvery == 0) column_scales_[c] = kOutlierScale;
}

void WeightRows::fill(std::uint64_t row, std::span<std::uint16_t> weights) const {
  double row_scale = kTypicalWeight;
  if (!equal_rows_) {
    const float normal = quantiles_of(Tails::gaussian)[random_bits(row_stream(seed_), row) % kQuantiles];
    row_scale *= std::exp(kRowSpread * static_cast<double>(normal));
  }
  const float scale = static_cast<float>(row_scale);
  const std::uint64_t stream = weight_stream(seed_, row);
  for (std::size_t c = 0; c < weights.size(); c += 4) {
    std::uint64_t bits = random_bits(stream, c / 4);
    const std::size_t end = std::min(c + 4, weights.size());
    for (std::size_t i = c; i < end; ++i, bits >>= 16)
      weights[i] = float_to_bf16(quantiles_[bits % kQuantiles] * scale * column_scales_[i]);
  }
}

std::vector<std::uint16_t> make_rows(Tails tails, std::uint64_t seed, std::uint64_t rows,
                                     std::uint64_t columns) {
  const WeightRows source(tails, seed, columns);
  std::vector<std::uint16_t> weights(rows * columns);
  for (std::uint64_t row = 0; row < rows; ++row)
    source.fill(row, std::span(weights).subspan(row * columns, columns));
  return weights;
}

}  // namespace afp::bench
