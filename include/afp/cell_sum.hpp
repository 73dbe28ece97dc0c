// The sum over the cells of a strip, in the order that block_grid.hpp describes: cell i is added to running
// sum i mod 16, and the running sums pairwise, neighbours first.
#pragma once

#include <cstdint>

#include "afp/hd.hpp"

namespace afp {

inline constexpr int kRunningSums = 16;

// 4^exponent, the unit of squares of magnitudes in units of 2^exponent; |exponent| <= 127.
AFP_HD constexpr double square_unit(int exponent) {
  return __builtin_bit_cast(double, static_cast<std::uint64_t>(1023 + 2 * exponent) << 52);
}

// What a cell adds to its running sum: `value` in units of `unit`, exact in double.
AFP_HD constexpr double cell_term(float value, double unit) {
  return static_cast<double>(value) * unit;
}

// The running sums as one; they are overwritten.
AFP_HD constexpr double sum_of_running(double (&sums)[kRunningSums]) {
  for (int width = 1; width < kRunningSums; width *= 2)
    for (int i = 0; i < kRunningSums; i += 2 * width) sums[i] += sums[i + width];
  return sums[0];
}

struct CellSum {
  double lanes[kRunningSums] = {};

  // Values of 16 cells side by side, zero for those not in use, and the unit each is in.
  AFP_HD void add(const float* values, const double* units) {
    for (int i = 0; i < kRunningSums; ++i) lanes[i] += cell_term(values[i], units[i]);
  }
  AFP_HD void add(const float* values) {
    for (int i = 0; i < kRunningSums; ++i) lanes[i] += static_cast<double>(values[i]);
  }
  AFP_HD double total() const {
    double sums[kRunningSums];
    for (int i = 0; i < kRunningSums; ++i) sums[i] = lanes[i];
    return sum_of_running(sums);
  }
};

}  // namespace afp
