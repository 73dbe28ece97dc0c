// What a relaxation leaves open: the rows that might have another item in a better choice, solved by dynamic
// programming over lists of states, each a sum of bytes and of values that no other state beats in both.
//
// Sizes may be any 64-bit numbers: no array runs over bytes. Rows come in the order of how near their next
// steps are to the price of a byte (Pisinger's expanding core), so that what is left, with steps ever farther
// from that price, bounds what a state can still gain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "host/search/hulls.hpp"

namespace afp::search_detail {

struct OpenCoreProblem {
  const ItemRows& items;                   // undominated
  const std::vector<std::uint32_t>& base;  // item of every row
  std::uint64_t room;                      // bytes that the base leaves
  double price;                            // of a byte, at which no row has a better item than its base
  double best;                             // value of the best choice known, less that of the base; <= 0
  std::uint64_t most_states;               // to make, roughly; beyond, the least promising ones are dropped
};

struct OpenCoreResult {
  bool improved = false;
  std::vector<std::uint32_t> item;  // of every row, where improved
  double best = 0.0;                // value less that of the base
  double bound = 0.0;               // no choice has less; equal to `best` where that is proven
  std::uint64_t states = 0;
};
// `between_rows` may throw, to stop.
OpenCoreResult solve_open_core(const OpenCoreProblem& problem, const std::function<void()>& between_rows);

}  // namespace afp::search_detail
