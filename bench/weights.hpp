// Synthetic bf16 weights from a counter-based generator: a weight depends on its seed and place alone,
// so rows can be made in any order and on any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace afp::bench {

enum class Tails {
  gaussian,  // normal weights, all rows alike
  heavy,     // Student's t (4 degrees of freedom), log-normal row scales, a few outlier columns
};

class WeightRows {
 public:
  WeightRows(Tails tails, std::uint64_t seed, std::uint64_t columns);

  void fill(std::uint64_t row, std::span<std::uint16_t> weights) const;  // weights.size() == columns

 private:
  std::uint64_t seed_;
  bool equal_rows_;
  std::vector<float> column_scales_;
  const std::vector<float>& quantiles_;  // of 2^16 equally likely weights, ascending
};

std::vector<std::uint16_t> make_rows(Tails tails, std::uint64_t seed, std::uint64_t rows,
                                     std::uint64_t columns);

}  // namespace afp::bench
