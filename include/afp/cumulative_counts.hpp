// CumulativeCounts: how many weights lie below any threshold, from prefix sums over the keys of Statistics in
// plain arrays. Host/device neutral.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/codec.hpp"
#include "afp/format.hpp"
#include "afp/hd.hpp"
#include "afp/statistics.hpp"

namespace afp {

struct CumulativeCounts {
  DType dtype = DType::F32;
  std::size_t first = 0, end = 0;  // keys that may hold weights, but for zeros
  std::uint64_t zeros = 0;
  std::uint64_t total = 0;
  const std::uint64_t* prefix = nullptr;  // [key - first], end - first + 1 of them: weights of the keys first
                                          // .. key - 1, zeros left out
  const std::uint64_t* on_base = nullptr;  // of F32, [key - first]: those on the key's base

  // Weights with |w| < threshold, those on it included where `with_equal`. threshold > 0. For F32 it must be
  // a key's base; one that lies inside a key (only below 2^-126 levels are so close) counts as that key's
  // base.
  AFP_HD constexpr std::uint64_t below(double threshold, bool with_equal) const {
    if (threshold > kLargestFloat) return total;
    const std::size_t key = last_key_at(dtype, floor_to_float(threshold));
    const bool equal = static_cast<double>(key_base(dtype, key)) == threshold;
    return before(key) + (equal && !with_equal ? 0 : on(key));
  }

  // Of BF16 and F16: weights that get a code of at most `code` under a scale, `threshold` being about where
  // the next code begins.
  AFP_HD constexpr std::uint64_t up_to_code(Format format, float reciprocal, std::uint32_t code,
                                            double threshold) const {
    // To be the first key with a larger code. Those below the one at the threshold have none: a 16-bit key is
    // farther from the next than the reciprocal's rounding moves a product.
    std::size_t key = last_key_at(dtype, floor_to_float(threshold));
    key = key < first ? first : key < end ? key : end;
    while (key < end && encode_magnitude(format, key_base(dtype, key) * reciprocal) <= code) ++key;
    // Zeros have code 0.
    return key == 0 ? zeros : before(key);
  }

 private:
  static constexpr double kLargestFloat = 0x1.fffffep127;

  // The largest float32 at most as large as this positive double.
  AFP_HD static constexpr float floor_to_float(double value) {
    const auto rounded = static_cast<float>(value < kLargestFloat ? value : kLargestFloat);
    return static_cast<double>(rounded) > value ? bits_float(float_bits(rounded) - 1) : rounded;
  }
  // Weights of the keys below, and on this key's base.
  AFP_HD constexpr std::uint64_t before(std::size_t key) const {
    if (key == 0) return 0;
    return zeros + (key <= first ? 0 : prefix[(key < end ? key : end) - first]);
  }
  AFP_HD constexpr std::uint64_t on(std::size_t key) const {
    const std::uint64_t here = key == 0 ? zeros : 0;
    if (key < first || key >= end) return here;
    const std::size_t i = key - first;
    return here + (dtype == DType::F32 ? on_base[i] : prefix[i + 1] - prefix[i]);
  }
};

}  // namespace afp
