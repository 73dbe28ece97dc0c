// KeyTable: the keys of Statistics laid out for summing over them, and the squared error of rounding what
// they hold: the definition that every backend's sum over keys must meet bit by bit.
//
// Weights on a key's base round to one value, those inside the key to one value too, for no rounding
// threshold lies inside (see statistics.hpp). The sum of their squared errors then follows from their number,
// their mean and their spread about it, none of which cancels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "afp/block_search.hpp"
#include "afp/codec.hpp"
#include "afp/lane_sum.hpp"
#include "afp/statistics.hpp"

namespace afp {

__extension__ using Uint128 = unsigned __int128;

// The nearest double, ties to even.
AFP_HD constexpr double wide_to_double(Uint128 value) {
  const auto high = static_cast<std::uint64_t>(value >> 64), low = static_cast<std::uint64_t>(value);
  if (high == 0) return static_cast<double>(low);
  int shift = 0;  // the bits of `high`
  for (int step = 32; step > 0; step /= 2)
    if (high >> shift >> step != 0) shift += step;
  ++shift;
  // 64 bits from the leading one on, the last of which also says whether any bit below them is set.
  const auto kept = static_cast<std::uint64_t>(value >> shift);
  const bool rest = low << (64 - shift) != 0;
  return static_cast<double>(kept | (rest ? 1u : 0u)) *
         __builtin_bit_cast(double, static_cast<std::uint64_t>(1023 + shift) << 52);
}

// A key's weights as sums over keys take them.
struct KeySlot {
  float base = 0.0f;
  double count_base = 0.0;    // weights on the base
  double count_inside = 0.0;  // weights inside the key,
  double mean = 0.0;          // their mean magnitude,
  double spread = 0.0;        // and the sum of the squares of their distances from it
};
AFP_HD constexpr KeySlot key_slot(const Statistics::Key& key) {
  KeySlot slot{key.base, static_cast<double>(key.count_base), 0.0, static_cast<double>(key.base), 0.0};
  const std::uint64_t inside = key.count - key.count_base;
  if (inside == 0) return slot;
  const double n = static_cast<double>(inside), step = static_cast<double>(key.step);
  const Uint128 squares =  // n times the sum of squared distances, in steps
      static_cast<Uint128>(key.sum_r2) * inside - static_cast<Uint128>(key.sum_r) * key.sum_r;
  slot.count_inside = n;
  slot.mean = static_cast<double>(key.base) + step * (static_cast<double>(key.sum_r) / n);
  slot.spread = step * step * (wide_to_double(squares) / n);
  return slot;
}

// Slots in arrays, in host or device memory. In groups of kSumLanes: slot i is of lane i mod kSumLanes, as
// the key's index is. Groups without weights are left out, and zeros may be, for they cost nothing.
struct KeySlots {
  std::size_t count = 0;
  const float* base = nullptr;  // ascending
  const double* count_base = nullptr;
  const double* count_inside = nullptr;  // of F32 alone, like those below; null otherwise
  const double* mean = nullptr;
  const double* spread = nullptr;
};

struct KeyTable {
  explicit KeyTable(const Statistics& statistics);

  std::size_t slots() const { return base.size(); }
  bool has_inside() const { return !mean.empty(); }  // of F32 alone
  KeySlots view() const {
    if (!has_inside()) return {slots(), base.data(), count_base.data()};
    return {slots(), base.data(), count_base.data(), count_inside.data(), mean.data(), spread.data()};
  }

  DType dtype;
  float absmax;
  std::vector<float> base;
  std::vector<double> count_base, count_inside, mean, spread;
};

// Squared error of a key's weights when those on the base become `base_value`, those inside `inside_value`.
AFP_HD constexpr double base_error(double base, double count, double value) {
  const double distance = base - value;
  return count * distance * distance;
}
AFP_HD constexpr double inside_error(double mean, double count, double spread, double value) {
  const double distance = mean - value;
  return count * distance * distance + spread;
}

// A Format under a scale, as the sum over keys needs them.
struct KeyScale {
  Rounding rounding;
  float reciprocal = 1.0f;
  double scale = 1.0;
  double limit = 0.0;  // the largest value

  KeyScale() = default;
  AFP_HD KeyScale(Format format, float value)
      : rounding(format),
        reciprocal(scale_reciprocal(value)),
        scale(static_cast<double>(value)),
        limit(static_cast<double>(rounding.max_value) * scale) {}

  // What a magnitude becomes.
  AFP_HD double rounded(float magnitude) const {
    const float y = magnitude * reciprocal;
    return static_cast<double>(rounding.value(y < rounding.max_value ? y : rounding.max_value)) * scale;
  }
};

// The squared error of the slot's weights.
template <bool kHasInside>
AFP_HD inline double slot_error(const KeySlots& slots, std::size_t i, const KeyScale& scale) {
  const float base = slots.base[i];
  const double error = base_error(static_cast<double>(base), slots.count_base[i], scale.rounded(base));
  if (!kHasInside) return error;
  // Any weight strictly inside the key rounds like all others there.
  const float inside = bits_float(float_bits(base) + 1);
  return error + inside_error(slots.mean[i], slots.count_inside[i], slots.spread[i], scale.rounded(inside));
}

// Summed over keys as afp/lane_sum.hpp says.
struct KeyErrors {
  double total = 0.0;
  double clipped = 0.0;  // of the keys from the Format's largest value on

  AFP_HD friend constexpr bool operator==(const KeyErrors& a, const KeyErrors& b) {
    return a.total == b.total && a.clipped == b.clipped;
  }
};
KeyErrors key_errors(const KeyTable& keys, Format format, float scale);

}  // namespace afp
