// The rule by which annealing takes a move: always where it costs nothing or less, else with the odds that
// the temperature gives. Only + - * / decide, so that every machine decides alike.
#pragma once

#include "afp/log2.hpp"

namespace afp::search_detail {

// `uniform` in (0, 1).
AFP_HD inline bool accepts(double delta, double temperature, double uniform) {
  return delta <= 0.0 || delta < -temperature * portable_log2(uniform);
}

}  // namespace afp::search_detail
