// Prefix sums over keys.
#include "host/core/cumulative_counts.hpp"

#include <algorithm>

#include "afp/codec.hpp"

namespace afp {
namespace {

// The largest float32 at most as large as this positive double.
float floor_to_float(double value) {
  const auto rounded = static_cast<float>(std::min(value, 0x1.fffffep127));
  return static_cast<double>(rounded) > value ? bits_float(float_bits(rounded) - 1) : rounded;
}

}  // namespace

CumulativeCounts::CumulativeCounts(const Statistics& statistics)
    : dtype_(statistics.dtype()),
      first_(statistics.first_key()),
      end_(std::max(first_, statistics.end_key())),
      zeros_(statistics.zeros()),
      total_(zeros_),
      prefix_(end_ - first_ + 1) {
  if (dtype_ == DType::F32) on_base_.resize(end_ - first_);
  const bool is_f32 = dtype_ == DType::F32;
  std::uint64_t running = 0;
  for (std::size_t i = 0; i < end_ - first_; ++i) {
    prefix_[i] = running;
    running += statistics.stored_count(first_ + i);
    if (is_f32) on_base_[i] = statistics.stored_count_base(first_ + i);
  }
  total_ += running;
  prefix_.back() = total_ - zeros_;
}

float CumulativeCounts::base(std::size_t key) const {
  switch (dtype_) {
    case DType::BF16:
      return bf16_to_float(static_cast<std::uint16_t>(key));
    case DType::F16:
      return f16_to_float(static_cast<std::uint16_t>(key));
    default:
      return bits_float(static_cast<std::uint32_t>(key) << 15);
  }
}

std::uint64_t CumulativeCounts::before(std::size_t key) const {
  if (key == 0) return 0;
  return zeros_ + (key <= first_ ? 0 : prefix_[std::min(key, end_) - first_]);
}

std::uint64_t CumulativeCounts::on_base(std::size_t key) const {
  const std::uint64_t zeros = key == 0 ? zeros_ : 0;
  if (key < first_ || key >= end_) return zeros;
  const std::size_t i = key - first_;
  return zeros + (dtype_ == DType::F32 ? on_base_[i] : prefix_[i + 1] - prefix_[i]);
}

std::uint64_t CumulativeCounts::below(double threshold, bool with_equal) const {
  if (threshold > 0x1.fffffep127) return total_;
  const std::size_t key = last_key_at(dtype_, floor_to_float(threshold));
  const bool equal = static_cast<double>(base(key)) == threshold;
  return before(key) + (equal && !with_equal ? 0 : on_base(key));
}

std::uint64_t CumulativeCounts::up_to_code(Format format, float reciprocal, std::uint32_t code,
                                           double threshold) const {
  const auto within = [&](std::size_t key) {
    return encode_magnitude(format, base(key) * reciprocal) <= code;
  };
  std::size_t key = std::clamp(last_key_at(dtype_, floor_to_float(threshold)), first_,
                               end_);  // to be the first with a larger code
  while (key < end_ && within(key)) ++key;
  while (key > first_ && !within(key - 1)) --key;
  // Zeros have code 0.
  return key == 0 ? zeros_ : before(key);
}

}  // namespace afp
