// Signal to error in decibels.
#pragma once

#include <cmath>
#include <limits>

namespace afp {

// 10 log10(signal / error); infinite where the error is 0.
inline double decibel(double signal, double error) {
  if (error == 0.0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(signal / error);
}

}  // namespace afp
