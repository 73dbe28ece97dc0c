// How many weights lie below any threshold: prefix sums over the keys of Statistics, made once per tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "afp/format.hpp"
#include "afp/statistics.hpp"

namespace afp {

class CumulativeCounts {
 public:
  explicit CumulativeCounts(const Statistics& statistics);

  std::uint64_t total() const { return total_; }

  // Weights with |w| < threshold, those on it included where `with_equal`. threshold > 0. For F32 it must be
  // a key's base; one that lies inside a key (only below 2^-126 levels are so close) counts as that key's
  // base.
  std::uint64_t below(double threshold, bool with_equal) const;

  // Of BF16 and F16: weights that get a code of at most `code` under a scale, `threshold` being about where
  // the next code begins.
  std::uint64_t up_to_code(Format format, float reciprocal, std::uint32_t code, double threshold) const;

 private:
  float base(std::size_t key) const;
  std::uint64_t before(std::size_t key) const;   // weights of the keys below
  std::uint64_t on_base(std::size_t key) const;  // weights on this key's base

  DType dtype_;
  std::size_t first_, end_;  // keys that may hold weights, but for zeros
  std::uint64_t zeros_;
  std::uint64_t total_;
  std::vector<std::uint64_t> prefix_;   // [key - first_]: weights of the keys first_ .. key - 1
  std::vector<std::uint64_t> on_base_;  // F32
};

}  // namespace afp
