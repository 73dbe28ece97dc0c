// CountSums: the arrays behind CumulativeCounts, made once per tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "afp/cumulative_counts.hpp"
#include "afp/statistics.hpp"

namespace afp {

class CountSums {
 public:
  explicit CountSums(const Statistics& statistics);

  CumulativeCounts view() const {
    CumulativeCounts view = bounds_;
    view.prefix = prefix_.data();
    view.on_base = on_base_.data();
    return view;
  }

 private:
  CumulativeCounts bounds_;  // without its arrays
  std::vector<std::uint64_t> prefix_;
  std::vector<std::uint64_t> on_base_;  // F32
};

}  // namespace afp
