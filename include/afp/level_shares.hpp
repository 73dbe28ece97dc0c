// The levels that the kl objectives round magnitudes to, and the share of weights up to and with each: the
// definition for every backend. Host/device neutral.
#pragma once

#include <cstddef>
#include <cstdint>

#include "afp/codec.hpp"
#include "afp/cumulative_counts.hpp"
#include "afp/format.hpp"
#include "afp/hd.hpp"

namespace afp {

// Levels of a Format of 8 bits, or of the original with 7 bits for magnitudes.
inline constexpr int kMostLevels = 128;

// --- A Format's values under a scale, with this engine's rounding
// -------------------------------------------

AFP_HD constexpr double format_level(Format format, float scale, std::uint32_t code) {
  return static_cast<double>(decode(format, code)) * static_cast<double>(scale);
}

AFP_HD constexpr double format_share(const CumulativeCounts& counts, Format format, float scale,
                                     std::uint32_t code) {
  if (code == format.max_magnitude()) return 1.0;
  const double threshold = (format_level(format, scale, code) + format_level(format, scale, code + 1)) / 2;
  const std::uint64_t within = counts.dtype == DType::F32
                                   ? counts.below(threshold, code % 2 == 0)
                                   : counts.up_to_code(format, scale_reciprocal(scale), code, threshold);
  return static_cast<double>(within) / static_cast<double>(counts.total);
}

// --- The original's levels, each weight to the nearest, ties to the smaller
// ---------------------------------

// 2^exponent, |exponent| < 1023.
AFP_HD constexpr double power_of_two(int exponent) {
  return __builtin_bit_cast(double, static_cast<std::uint64_t>(1023 + exponent) << 52);
}

// See afp/seed_search.hpp. 0 <= E, M and 1 <= E + M <= 7; absmax > 0.
class SeedLevels {
 public:
  AFP_HD constexpr SeedLevels(float absmax, int exponent_bits, int mantissa_bits)
      : exponent_bits_(exponent_bits), mantissa_bits_(mantissa_bits) {
    const double largest = 2.0 - 1.0 / steps();
    // Without exponent bits the original ignores the weights: ceil(log2(largest - 1)).
    const int upper = exponent_bits > 0 ? first_exponent_to_reach(largest, static_cast<double>(absmax))
                                        : first_exponent_to_reach(1.0, largest - 1.0);
    lower_ = upper + 1 - (1 << exponent_bits);
  }

  AFP_HD constexpr int count() const { return 1 << (exponent_bits_ + mantissa_bits_); }

  AFP_HD constexpr double operator[](int index) const {
    const int octave = lower_ + (index >> mantissa_bits_), step = index & (steps() - 1);
    // The lowest octave has the steps of the next one, and begins at 0.
    const bool is_lowest = octave == lower_;
    return (is_lowest ? 0.0 : power_of_two(octave)) +
           power_of_two((is_lowest ? lower_ + 1 : octave) - mantissa_bits_) * step;
  }

  // Whether some are finer than float32 values, which all others are.
  AFP_HD constexpr bool need_rounding() const { return (*this)[1] < 0x1p-126; }

  // Rounds levels to float32, and leaves one of those that become equal, for the others get no weights.
  // Returns how many remain.
  AFP_HD static constexpr int round(double* levels, int count) {
    int kept = 0;
    for (int i = 0; i < count; ++i) {
      const double level =
          levels[i] < 0x1p-126 ? static_cast<double>(static_cast<float>(levels[i])) : levels[i];
      if (kept == 0 || levels[kept - 1] != level) levels[kept++] = level;
    }
    return kept;
  }

 private:
  AFP_HD constexpr int steps() const { return 1 << mantissa_bits_; }

  // The smallest u with largest * 2^u >= absmax: ceil(log2(absmax / largest)).
  AFP_HD static constexpr int first_exponent_to_reach(double largest, double absmax) {
    const auto bits = __builtin_bit_cast(std::uint64_t, absmax / largest);  // of a normal double
    int exponent = static_cast<int>(bits >> 52) - 1023 - 1;
    while (largest * power_of_two(exponent) < absmax) ++exponent;
    return exponent;
  }

  int exponent_bits_, mantissa_bits_;
  int lower_ = 0;
};

// The share of weights that get one of levels[0 .. i] of `count` distinct ones.
AFP_HD constexpr double seed_share(const CumulativeCounts& counts, const double* levels, int count, int i) {
  if (i == count - 1) return 1.0;
  return static_cast<double>(counts.below((levels[i] + levels[i + 1]) / 2, true)) /
         static_cast<double>(counts.total);
}

}  // namespace afp
