// Prefix sums over keys.
#include "host/core/cumulative_counts.hpp"

#include <algorithm>

#include "afp/codec.hpp"

namespace afp {

CumulativeCounts::CumulativeCounts(const Statistics& statistics)
    : dtype_(statistics.dtype()),
      first_(statistics.first_key()),
      end_(std::max(first_, statistics.end_key())),
      zeros_(statistics.zeros()),
      total_(zeros_),
      prefix_(end_ - first_ + 1) {
  const bool is_f32 = dtype_ == DType::F32;
  if (is_f32) on_base_.resize(end_ - first_);
  std::uint64_t running = 0;
  for (std::size_t i = 0; i < end_ - first_; ++i) {
    prefix_[i] = running;
    running += statistics.stored_count(first_ + i);
    if (is_f32) on_base_[i] = statistics.stored_count_base(first_ + i);
  }
  total_ += running;
  prefix_.back() = total_ - zeros_;
}

std::uint64_t CumulativeCounts::up_to_code(Format format, float reciprocal, std::uint32_t code,
                                           double threshold) const {
  const auto within = [&](std::size_t key) {
    return encode_magnitude(format, base(key) * reciprocal) <= code;
  };
  // To be the first key with a larger code. Those below the one at the threshold have none: a 16-bit key is
  // farther from the next than the reciprocal's rounding moves a product.
  std::size_t key = std::clamp(last_key_at(dtype_, floor_to_float(threshold)), first_, end_);
  while (key < end_ && within(key)) ++key;
  // Zeros have code 0.
  return key == 0 ? zeros_ : before(key);
}

}  // namespace afp
