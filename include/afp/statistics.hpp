// Statistics: the integer sufficient statistics of a tensor's weights, gathered in one pass.
//
// Every rounding threshold of every Format under a power-of-two scale has at most 8 significant
// bits, so a histogram of |w| keyed by its leading float bits decides every candidate exactly:
//
//     BF16   the 15 magnitude bits are the key: one key, one value
//     F16    likewise
//     F32    exponent and top 8 mantissa bits (16 bits); of the 15 bits r below them the counts of
//            r == 0 (a weight that may lie on a threshold) and the sums of r and of r^2 are kept
//
// All are integers: the order in which weights, chunks or shards are added makes no difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/codec.hpp"
#include "afp/tensor.hpp"

namespace afp {

class Statistics {
 public:
  // `dtype` is BF16, F16 or F32 (F64 weights are rounded to F32 before anything else).
  explicit Statistics(DType dtype);

  // Adds `count` weights of the dtype, in memory as in a file (any alignment). Non-finite values
  // are counted by nonfinite() and take no other part.
  void add(const std::byte* weights, std::uint64_t count);
  void merge(const Statistics& other);  // of the same dtype
  void merge(Statistics&& other);       // likewise; takes over its tables where this one has none

  // The four sums of an F32 key in two words, as backends count them: of so few weights none of the sums
  // reaches its neighbour's bits.
  //     low   count in bits 0..23, sum of r from bit 24 on
  //     high  sum of r^2 in bits 0..46, count of r == 0 from bit 47 on
  struct PackedBin {
    static constexpr std::uint64_t kMostWeights = (std::uint64_t{1} << 17) - 1;
    static constexpr int kSumShift = 24, kBaseShift = 47;
    std::uint64_t low = 0, high = 0;
  };
  // Adds F32 weights counted so: bins of the keys from first_key on, and the largest finite magnitude.
  void add_packed(std::size_t first_key, std::span<const PackedBin> bins, float largest);

  // Adds BF16 or F16 weights counted by key, zeros under key 0: one count a key from first_key on, below
  // 2^15.
  void add_counts(std::size_t first_key, std::span<const std::uint64_t> counts);

  // Adds F32 weights counted so, zeros under key 0: the four sums of the keys from first_key on, below 2^16
  // (as many of each), and the largest finite magnitude.
  struct WideCounts {
    std::span<const std::uint64_t> count, count_base, sum_r, sum_r2;
  };
  void add_counts(std::size_t first_key, const WideCounts& counts, float largest);

  DType dtype() const { return dtype_; }
  std::uint64_t count() const;  // finite weights
  std::uint64_t zeros() const;
  std::uint64_t nonfinite() const;
  float absmax() const;           // largest finite |w|; 0 when there is none
  double sum_of_squares() const;  // of the finite weights

  // What is known of the weights that share a key. Their magnitudes are base + r * step with
  // integer r in 0..32767 (for BF16 and F16 r is always 0).
  struct Key {
    float base;
    float step;
    std::uint64_t count;       // weights
    std::uint64_t count_base;  // of them those with r == 0
    std::uint64_t sum_r;
    std::uint64_t sum_r2;
  };
  std::size_t key_count() const;
  Key key(std::size_t index) const;  // keys ascend by magnitude

  // Of a key within [first_key(), end_key()), without zeros: weights, and those with r == 0.
  std::uint64_t stored_count(std::size_t index) const {
    return dtype_ == DType::F32 ? wide_[index - first_].count : counts_[index - first_];
  }
  std::uint64_t stored_count_base(std::size_t index) const {
    return dtype_ == DType::F32 ? wide_[index - first_].count_base : counts_[index - first_];
  }

  // Keys outside [first_key(), end_key()) hold no weights, but for key 0, which holds the zeros. A range of
  // keys is all that is stored: a tensor of a few hundred weights needs kilobytes.
  std::size_t first_key() const { return first_; }
  std::size_t end_key() const;

  friend bool operator==(const Statistics& a, const Statistics& b);

 private:
  struct WideBin {  // of F32
    std::uint64_t count = 0, count_base = 0, sum_r = 0, sum_r2 = 0;
    friend bool operator==(const WideBin&, const WideBin&) = default;
  };

  std::size_t stored() const { return counts_.size() + wide_.size(); }  // one of them is empty
  void cover(std::size_t first, std::size_t end);                       // makes room for these keys
  void add_halves(const std::byte* weights, std::uint64_t count);
  void add_floats(const std::byte* weights, std::uint64_t count);

  DType dtype_;
  std::uint64_t zeros_ = 0;            // not in the tables below
  std::size_t first_ = 0;              // the key that the tables begin with; non-finite patterns are keys too
  std::vector<std::uint64_t> counts_;  // BF16, F16
  std::vector<WideBin> wide_;          // F32
  float largest_ = 0.0f;               // F32: the key alone does not tell the exact absmax
};

// What a key of BF16 and F16, that is the magnitude bits, or of F32 stands for: its smallest magnitude, and
// the step of those above it.
AFP_HD constexpr float key_base(DType dtype, std::size_t key) {
  if (dtype == DType::BF16) return bf16_to_float(static_cast<std::uint16_t>(key));
  if (dtype == DType::F16) return f16_to_float(static_cast<std::uint16_t>(key));
  return bits_float(static_cast<std::uint32_t>(key) << 15);
}
AFP_HD constexpr float key_step(DType dtype, std::size_t key) {
  if (dtype != DType::F32) return 0.0f;
  const int exponent = static_cast<int>(key >> 8);
  return exp2_int((exponent == 0 ? 1 : exponent) - 150);
}

// The last key whose base is at most this magnitude (finite, not negative).
AFP_HD constexpr std::size_t last_key_at(DType dtype, float magnitude) {
  const std::uint32_t bits = float_bits(magnitude);
  if (dtype == DType::BF16) return bits >> 16;
  if (dtype == DType::F32) return bits >> 15;
  if (magnitude < exp2_int(-14)) return static_cast<std::size_t>(magnitude * exp2_int(24));
  return magnitude < 65504.0f ? (bits - (112u << 23)) >> 13 : 0x7BFF;
}

}  // namespace afp
