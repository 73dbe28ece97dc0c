// The slow oracle of the tests: values by formula and rounding by a search of the table of values, both in
// long double, and the scale of a block by trying every byte. It shares no arithmetic with the library.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "afp/encoding.hpp"

namespace afp::reference {

using Real = long double;

inline std::vector<Format> all_formats() {
  std::vector<Format> formats;
  for (int bits = 2; bits <= 8; ++bits)
    for (int e = 1; e < bits; ++e)
      formats.push_back({static_cast<std::uint8_t>(e), static_cast<std::uint8_t>(bits - 1 - e)});
  return formats;
}

// The value of a code, from the definition in afp/format.hpp.
inline Real value(Format format, std::uint32_t code) {
  const int e_bits = format.exponent_bits, m_bits = format.mantissa_bits;
  const int mantissa = static_cast<int>(code % (1u << m_bits));
  const int exponent = static_cast<int>((code >> m_bits) % (1u << e_bits));
  const int bias = (1 << (e_bits - 1)) - 1;
  const Real fraction = std::ldexp(Real(mantissa), -m_bits);
  const Real magnitude =
      exponent > 0 ? std::ldexp(1 + fraction, exponent - bias) : std::ldexp(fraction, 1 - bias);
  return (code >> (e_bits + m_bits)) & 1 ? -magnitude : magnitude;
}

// The values of a Format's codes with sign 0, ascending: the index is the code.
class Grid {
 public:
  explicit Grid(Format format) : bits_(1 + format.exponent_bits + format.mantissa_bits) {
    for (std::uint32_t code = 0; code < (1u << (bits_ - 1)); ++code) values_.push_back(value(format, code));
  }

  Real operator[](std::uint32_t code) const { return values_[code]; }
  Real largest() const { return values_.back(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(values_.size()); }

  // The code nearest to a magnitude: ties to the even one, saturating.
  std::uint32_t nearest(Real magnitude) const {
    if (magnitude >= values_.back()) return size() - 1;
    if (2 * magnitude <= values_[1]) return 0;
    const auto above = std::lower_bound(values_.begin(), values_.end(), magnitude);
    const auto code = static_cast<std::uint32_t>(above - values_.begin());
    const Real down = magnitude - values_[code - 1], up = values_[code] - magnitude;
    if (down == up) return code % 2 == 0 ? code : code - 1;
    return down < up ? code - 1 : code;
  }
  std::uint32_t encode(float y) const {
    return nearest(std::fabs(static_cast<Real>(y))) | (std::signbit(y) ? 1u << (bits_ - 1) : 0u);
  }

 private:
  int bits_;
  std::vector<Real> values_;
};

// The scale that a byte stands for, the Format's bit left out.
inline Real scale_value(ScaleKind kind, std::uint32_t byte, float tensor_scale) {
  if (kind == ScaleKind::e8m0) return std::ldexp(Real{1}, static_cast<int>(byte) - 127);
  const int exponent = static_cast<int>(byte >> 3 & 15), mantissa = static_cast<int>(byte & 7);
  const Real magnitude =
      exponent == 0 ? std::ldexp(Real(mantissa) / 8, -6) : std::ldexp(1 + Real(mantissa) / 8, exponent - 7);
  return magnitude * static_cast<Real>(tensor_scale);
}

// What encoding rounds: y = w * r in float32, r the float32 nearest to 1 / scale. The product of two
// float32 is exact in long double.
inline float reciprocal(Real scale) {
  return static_cast<float>(1 / scale);
}
inline float scaled(float weight, float r) {
  return static_cast<float>(static_cast<Real>(weight) * static_cast<Real>(r));
}

inline Real squared_error(std::span<const float> weights, const Grid& grid, Real scale) {
  const float r = reciprocal(scale);
  Real sum = 0;
  for (const float w : weights) {
    const float magnitude = std::fabs(w);
    const Real error = magnitude - scale * grid[grid.nearest(scaled(magnitude, r))];
    sum += error * error;
  }
  return sum;
}

inline Real sum_of_squares(std::span<const float> weights) {
  Real sum = 0;
  for (const float w : weights) sum += static_cast<Real>(w) * static_cast<Real>(w);
  return sum;
}

inline float absmax(std::span<const float> weights) {
  float largest = 0.0f;
  for (const float w : weights) largest = std::max(largest, std::fabs(w));
  return largest;
}

// One scale a block may get under one of the Encoding's Formats.
struct Scale {
  std::uint8_t byte;  // the Format's bit included
  Real value;
  const Grid* grid;
};

// All scales of an Encoding, the rule for the best of them, and what it costs.
class ScaleSearch {
 public:
  ScaleSearch(const Encoding& encoding, float tensor_scale) : encoding_(encoding) {
    grids_.reserve(2);
    grids_.emplace_back(encoding.format);
    if (encoding.alternative) grids_.emplace_back(*encoding.alternative);
    for (std::size_t f = 0; f < grids_.size(); ++f) {
      for (std::uint32_t byte = 0; byte < 256; ++byte) {
        if (!allowed(grids_[f], byte)) continue;
        scales_.push_back({static_cast<std::uint8_t>(byte | (f == 1 ? 0x80u : 0u)),
                           scale_value(encoding.scale, byte, tensor_scale), &grids_[f]});
      }
    }
  }
  ScaleSearch(const ScaleSearch&) = delete;  // scales_ points into grids_
  ScaleSearch& operator=(const ScaleSearch&) = delete;

  struct Choice {
    std::uint8_t byte = 0;
    Real error = 0;      // the least within the scan
    Real runner_up = 0;  // the least error above that
    Real beyond = 0;     // the least error beyond the scan
    Real at_s0 = 0;      // the lesser error of the Formats, each at its s0
  };

  // The scale of least squared error within the scan; ties to the larger scale, then to the first Format.
  Choice best(std::span<const float> block) const {
    const float largest = absmax(block);
    if (largest == 0.0f) return {};
    Real smallest_of[2] = {};
    for (std::size_t f = 0; f < grids_.size(); ++f) smallest_of[f] = s0(grids_[f], largest);
    constexpr Real kNone = std::numeric_limits<Real>::infinity();
    Choice choice{0, kNone, kNone, kNone, kNone};
    Real best_scale = 0;
    for (const Scale& scale : scales_) {
      const Real error = squared_error(block, *scale.grid, scale.value);
      const Real smallest = smallest_of[scale.grid - grids_.data()];
      if (scale.value == smallest) choice.at_s0 = std::min(choice.at_s0, error);
      if (!in_scan(scale, smallest)) {
        choice.beyond = std::min(choice.beyond, error);
        continue;
      }
      if (error < choice.error)
        choice.runner_up = choice.error;
      else if (error > choice.error)
        choice.runner_up = std::min(choice.runner_up, error);
      if (error < choice.error || (error == choice.error && scale.value > best_scale)) {
        choice.byte = scale.byte;
        choice.error = error;
        best_scale = scale.value;
      }
    }
    return choice;
  }

  // Below 2 s0; and among the smallest ue4m3 scales, which are multiples of one step, below 16 steps: an odd
  // multiple has no half.
  bool in_scan(const Scale& scale, Real smallest) const {
    if (encoding_.scale == ScaleKind::ue4m3 && (scale.byte & 0x7F) < 16 && smallest < scales_[7].value)
      return true;
    return scale.value < 2 * smallest;
  }

  const Scale* find(std::uint8_t byte) const {
    for (const Scale& scale : scales_)
      if (scale.byte == byte) return &scale;
    return nullptr;
  }
  const std::vector<Scale>& scales() const { return scales_; }

  // The smallest allowed scale that does not clip `largest`, or the largest allowed one.
  Real s0(const Grid& grid, float largest) const {
    Real smallest = std::numeric_limits<Real>::infinity(), most = 0;
    for (const Scale& scale : scales_) {
      if (scale.grid != &grid) continue;
      if (scale.value * grid.largest() >= largest) smallest = std::min(smallest, scale.value);
      most = std::max(most, scale.value);
    }
    return std::isinf(smallest) ? most : smallest;
  }

 private:
  // ue4m3: 1..126. e8m0: every value of the Format finite in float32, every threshold a multiple of 2^-134.
  bool allowed(const Grid& grid, std::uint32_t byte) const {
    if (encoding_.scale == ScaleKind::ue4m3) return byte >= 1 && byte <= 126;
    if (byte == 255) return false;
    const Real scale = scale_value(ScaleKind::e8m0, byte, 1.0f);
    return grid.largest() * scale < std::ldexp(Real{1}, 128) &&
           grid[1] / 2 * scale >= std::ldexp(Real{1}, -134);
  }

  Encoding encoding_;
  std::vector<Grid> grids_;
  std::vector<Scale> scales_;
};

}  // namespace afp::reference
