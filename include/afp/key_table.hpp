// KeyTable: the keys of Statistics laid out for summing over them, and the squared error of rounding what
// they hold: the definition that every backend's sum over keys must meet bit by bit.
//
// Weights on a key's base round to one value, those inside the key to one value too, for no rounding
// threshold lies inside (see statistics.hpp). The sum of their squared errors then follows from their number,
// their mean and their spread about it, none of which cancels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "afp/codec.hpp"
#include "afp/lane_sum.hpp"
#include "afp/statistics.hpp"

namespace afp {

struct KeyTable {
  explicit KeyTable(const Statistics& statistics);

  // One slot a key, ascending, in groups of kSumLanes: slot i is of lane i mod kSumLanes, as the key's index
  // is. Groups without weights are left out, and zeros
  // may be, for they cost nothing.
  std::size_t slots() const { return base.size(); }
  bool has_inside() const { return !mean.empty(); }  // of F32 alone

  DType dtype;
  float absmax;
  std::vector<float> base;
  std::vector<double> count_base;    // weights on the base
  std::vector<double> count_inside;  // weights inside the key,
  std::vector<double> mean;          // their mean magnitude,
  std::vector<double> spread;        // and the sum of the squares of their distances from it
};

// Squared error of a key's weights when those on the base become `base_value`, those inside `inside_value`.
AFP_HD constexpr double base_error(double base, double count, double value) {
  const double distance = base - value;
  return count * distance * distance;
}
AFP_HD constexpr double inside_error(double mean, double count, double spread, double value) {
  const double distance = mean - value;
  return count * distance * distance + spread;
}

// What a magnitude becomes under a scale.
AFP_HD constexpr double rounded_magnitude(Format format, float magnitude, float reciprocal, float scale) {
  return static_cast<double>(decode(format, encode_magnitude(format, magnitude * reciprocal))) *
         static_cast<double>(scale);
}

// Summed over keys as afp/lane_sum.hpp says.
struct KeyErrors {
  double total = 0.0;
  double clipped = 0.0;  // of the keys from the Format's largest value on

  friend bool operator==(const KeyErrors&, const KeyErrors&) = default;
};
KeyErrors key_errors(const KeyTable& keys, Format format, float scale);

}  // namespace afp
