// LaneSum: a sum of doubles in a fixed shape that the lanes of a warp or a vector register can share. Item i
// is added to lane i mod 32, in ascending order of i; then the lanes are added pairwise, neighbours first.
#pragma once

#include <cstddef>

#include "afp/hd.hpp"

namespace afp {

inline constexpr std::size_t kSumLanes = 32;

struct LaneSum {
  double lanes[kSumLanes] = {};

  AFP_HD constexpr double total() const {
    double sums[kSumLanes] = {};
    for (std::size_t l = 0; l < kSumLanes; ++l) sums[l] = lanes[l];
    for (std::size_t width = 1; width < kSumLanes; width *= 2)
      for (std::size_t l = 0; l < kSumLanes; l += 2 * width) sums[l] += sums[l + width];
    return sums[0];
  }
};

}  // namespace afp
