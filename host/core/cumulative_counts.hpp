// How many weights lie below any threshold: prefix sums over the keys of Statistics, made once per tensor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "afp/codec.hpp"
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
  std::uint64_t below(double threshold, bool with_equal) const {
    if (threshold > 0x1.fffffep127) return total_;
    const std::size_t key = last_key_at(dtype_, floor_to_float(threshold));
    const bool equal = static_cast<double>(base(key)) == threshold;
    return before(key) + (equal && !with_equal ? 0 : on_base(key));
  }

  // Of BF16 and F16: weights that get a code of at most `code` under a scale, `threshold` being about where
  // the next code begins.
  std::uint64_t up_to_code(Format format, float reciprocal, std::uint32_t code, double threshold) const;

 private:
  // The largest float32 at most as large as this positive double.
  static float floor_to_float(double value) {
    const auto rounded = static_cast<float>(std::min(value, 0x1.fffffep127));
    return static_cast<double>(rounded) > value ? bits_float(float_bits(rounded) - 1) : rounded;
  }
  float base(std::size_t key) const {
    switch (dtype_) {
      case DType::BF16:
        return bf16_to_float(static_cast<std::uint16_t>(key));
      case DType::F16:
        return f16_to_float(static_cast<std::uint16_t>(key));
      default:
        return bits_float(static_cast<std::uint32_t>(key) << 15);
    }
  }
  // Weights of the keys below, and on this key's base.
  std::uint64_t before(std::size_t key) const {
    if (key == 0) return 0;
    return zeros_ + (key <= first_ ? 0 : prefix_[std::min(key, end_) - first_]);
  }
  std::uint64_t on_base(std::size_t key) const {
    const std::uint64_t zeros = key == 0 ? zeros_ : 0;
    if (key < first_ || key >= end_) return zeros;
    const std::size_t i = key - first_;
    return zeros + (dtype_ == DType::F32 ? on_base_[i] : prefix_[i + 1] - prefix_[i]);
  }

  DType dtype_;
  std::size_t first_, end_;  // keys that may hold weights, but for zeros
  std::uint64_t zeros_;
  std::uint64_t total_;
  std::vector<std::uint64_t> prefix_;   // [key - first_]: weights of the keys first_ .. key - 1
  std::vector<std::uint64_t> on_base_;  // F32
};

}  // namespace afp
