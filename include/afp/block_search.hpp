// The search for a block's scale, one block at a time: the definition that vector code and kernels are held
// to. afp/scale.hpp says which scales are scanned; here is what each of them costs.
//
// Magnitudes are measured in units of the block's power of two (block_exponent in afp/piece.hpp), as float32,
// which loses nothing. Under a scale s, in the same units and with r = scale_reciprocal(s), a magnitude a has
// the error
//
//     a - s * value(min(a * r, largest value))         value(): rounded to the Format, ties to the even code
//
// whose squares are added in four running sums, over the weights j = 0, 1, 2, 3 mod 4 of the block, and these
// as (0 + 1) + (2 + 3), in float32. s * value is exact.
//
// A scan ends where the squares of what clips (a - s * largest value, where that is positive) cost at least
// as much as the best total so far: whatever bound below that sum decides it, the result is the same.
//
// The scan is written for blocks side by side, one a lane of a warp, say: all take the same steps as long as
// any of them has a use for it.
#pragma once

#include <cstdint>

#include "afp/format.hpp"
#include "afp/hd.hpp"
#include "afp/piece.hpp"
#include "afp/scale.hpp"

namespace afp {

// A TensorCodec in plain numbers.
struct BlockCodec {
  Format formats[2];
  std::int32_t format_count = 1;
  ScaleKind scale = ScaleKind::e8m0;
  float tensor_scale = 1.0f;

  AFP_HD constexpr bool is_e8m0() const { return scale == ScaleKind::e8m0; }
  AFP_HD constexpr int bits() const { return formats[0].bits(); }
  // The Format of a block with this scale byte.
  AFP_HD constexpr Format format_of(std::uint32_t byte) const {
    return format_count == 2 && (byte & kUe4m3Alternative) != 0 ? formats[1] : formats[0];
  }
  // The value of a block's scale byte, exact and as float32, and r of y = w * r: 0 for the blocks of zeros of
  // ue4m3.
  AFP_HD constexpr double exact_scale(std::uint32_t byte) const {
    return is_e8m0() ? static_cast<double>(e8m0_value(byte))
                     : static_cast<double>(ue4m3_value(byte & 0x7Fu)) * static_cast<double>(tensor_scale);
  }
  AFP_HD constexpr float scale_value(std::uint32_t byte) const {
    return is_e8m0() ? e8m0_value(byte) : ue4m3_value(byte & 0x7Fu) * tensor_scale;
  }
  AFP_HD constexpr float reciprocal(std::uint32_t byte) const {
    return !is_e8m0() && (byte & 0x7Fu) == 0 ? 0.0f : scale_reciprocal(scale_value(byte));
  }
};

inline BlockCodec block_codec(const TensorCodec& codec) {
  const Encoding& encoding = codec.encoding;
  return {{encoding.format, encoding.alternative.value_or(encoding.format)},
          encoding.format_count(),
          encoding.scale,
          codec.tensor_scale};
}

// The values of a Format as rounding needs them. The step at y is that of its binade, at least that of the
// smallest normal value: adding and subtracting 2^23 of them rounds. Without mantissa bits ties go to the
// even exponent field, whose parity is that of the float32's (127 - bias is even): one more step sends the
// tie between b and 2 b down. (With one exponent bit all steps are alike: the binade never counts.)
struct Rounding {
  float min_normal = 0.0f;
  float max_value = 0.0f;
  float steps_of_odd = 0.0f,
        steps_of_even = 0.0f;  // the shifter in units of the binade, by its exponent field
  bool is_uniform = false;     // one step everywhere

  Rounding() = default;
  AFP_HD constexpr explicit Rounding(Format format)
      : min_normal(exp2_int(format.min_normal_exponent())),
        max_value(format.max_value()),
        steps_of_odd(exp2_int(23 - format.mantissa_bits)),
        steps_of_even(format.mantissa_bits == 0 && format.exponent_bits > 1 ? 0x1.000002p23f : steps_of_odd),
        is_uniform(format.exponent_bits == 1) {}

  AFP_HD constexpr bool depends_on_parity() const { return steps_of_odd != steps_of_even; }

  // y in [0, max_value].
  AFP_HD float value(float y) const {
    const float b = greater(bits_float(float_bits(y) & 0x7F800000u), min_normal);
    const float steps = (float_bits(b) >> 23 & 1) != 0 ? steps_of_odd : steps_of_even;
    return add_exact_product(add_exact_product(y, b, steps), -b, steps);
  }
};

// What one magnitude is off by, and by how much it exceeds a limit.
AFP_HD inline float block_difference(const Rounding& rounding, float magnitude, float scale,
                                     float reciprocal) {
  const float y = magnitude * reciprocal;
  const float value = rounding.value(lesser(y, rounding.max_value));
  return add_exact_product(magnitude, -value, scale);
}
AFP_HD inline float clipped_difference(float magnitude, float limit) {
  return greater(magnitude - limit, 0.0f);
}

// What is known of a block beside its magnitudes.
struct BlockFacts {
  float absmax = 0.0f;   // in the units of the weights
  int exponent = 0;      // of the block's unit
  float largest = 0.0f;  // of its magnitudes, in the block's unit
};

// `lowest` is lowest_block_exponent().
AFP_HD constexpr BlockFacts block_facts(int lowest, float absmax) {
  const int exponent = block_exponent(lowest, absmax);
  return {absmax, exponent, absmax * exp2_int(-exponent)};
}

// The best scale of a block: the byte as stored (the Format's bit included) and the cost in the block's unit.
struct BlockScale {
  float cost = 0.0f;
  std::uint32_t byte = 0;
};

// A BlockCodec prepared for scans.
struct ScanFormat {
  ScanFormat() = default;
  AFP_HD constexpr explicit ScanFormat(Format format)
      : rounding(format), exponents(format), inverse_max(1.0f / format.max_value()), bits(format.bits()) {}

  Rounding rounding;
  ScaleExponents exponents;
  float inverse_max = 0.0f;
  std::int32_t bits = 0;
};
struct ScanCodec {
  ScanCodec() = default;
  AFP_HD constexpr explicit ScanCodec(const BlockCodec& codec)
      : first(codec.formats[0]),
        second(codec.format_count == 2 ? ScanFormat(codec.formats[1]) : ScanFormat()),
        is_pair(codec.format_count == 2),
        is_e8m0(codec.is_e8m0()),
        tensor_scale(codec.tensor_scale) {}

  ScanFormat first, second;
  bool is_pair = false;
  bool is_e8m0 = false;
  float tensor_scale = 1.0f;
};

// A scale that is tried, in the block's unit.
struct BlockTrial {
  const Rounding& rounding;
  float scale;
  float reciprocal;
  bool is_power;  // of two, the scale
  bool may_clip;  // false where no magnitude exceeds scale * max_value, in any of the blocks side by side
};

// The scan for the scale of least squared error of one block. `sums` measures it:
//     float error(const BlockTrial&)
//     float clipped(float limit)        of what exceeds the limit, which is in the block's unit
//     float clipped_at_least(float)     the same of the largest magnitude of each of the four running sums
//     bool any(bool)                    whether that holds of any of the blocks side by side
// A block that has come to its end looks on while others go further: it finds nothing less there.
template <class Sums>
class BlockScan {
 public:
  AFP_HD BlockScan(const ScanCodec& codec, const BlockFacts& facts, Effort effort, const Sums& sums)
      : codec_(codec), facts_(facts), effort_(effort), sums_(sums) {}

  AFP_HD BlockScale best() const {
    BlockScale best;
    if (codec_.is_e8m0) {
      best = scan_e8m0(codec_.first);
    } else {
      best.cost = kInfinite;
      for (int f = 0; f < (codec_.is_pair ? 2 : 1); ++f) {
        const BlockScale other = scan_ue4m3(f == 0 ? codec_.first : codec_.second, best.cost);
        if (other.cost < best.cost || (other.cost == best.cost && other.byte > best.byte))
          best = {other.cost, f == 0 ? other.byte : other.byte | kUe4m3Alternative};
      }
    }
    return is_zero() ? BlockScale{} : best;
  }

 private:
  static constexpr float kInfinite = 0x1.fffffep127f;  // beyond any cost

  AFP_HD bool is_zero() const { return facts_.absmax == 0.0f; }

  // Nothing at the scale with this limit or below costs less. After a few steps, which suffice for most
  // blocks, all that clips is counted instead of four magnitudes alone: blocks of many weights and few bits
  // would otherwise be scanned to the smallest scale.
  AFP_HD float least_error(float limit, int step) const {
    constexpr int kCheapSteps = 6;
    return step < kCheapSteps ? sums_.clipped_at_least(limit) : sums_.clipped(limit);
  }

  AFP_HD static constexpr float power_of_two(int exponent) {  // a normal number
    return bits_float(static_cast<std::uint32_t>(exponent + 127) << 23);
  }

  AFP_HD static void keep_less(float cost, int scale, BlockScale& best) {
    if (cost < best.cost) best = {cost, static_cast<std::uint32_t>(scale)};
  }

  AFP_HD BlockScale scan_e8m0(const ScanFormat& format) const {
    const Rounding rounding = format.rounding;
    const int lowest = format.exponents.lowest;
    int x = e8m0_first_exponent(format.exponents, facts_.absmax);
    const auto trial = [&](float scale, int exponent, bool may_clip) {
      return BlockTrial{rounding, scale, power_of_two(facts_.exponent - exponent), true, may_clip};
    };
    BlockScale best{kInfinite, 0};
    // At s0 nothing clips, unless the largest scale allowed is smaller than that.
    const float first = power_of_two(x - facts_.exponent);
    int step = -1;  // 0: the first below s0
    if (!sums_.any(facts_.largest > first * rounding.max_value)) {
      keep_less(sums_.error(trial(first, x, false)), x + kE8m0Bias, best);
      --x;
      step = 0;
    }
    for (;; ++step, --x) {
      const int candidate = x < lowest ? lowest : x;
      const float scale = power_of_two(candidate - facts_.exponent);
      if (step >= 0) {
        const float least = least_error(scale * rounding.max_value, step);
        if (!sums_.any(x >= lowest && least < best.cost)) return best;
      }
      keep_less(sums_.error(trial(scale, candidate, true)), candidate + kE8m0Bias, best);
    }
  }

  // The bytes of a Format; `rival` is the cost that the other Format of the pair has reached.
  AFP_HD BlockScale scan_ue4m3(const ScanFormat& format, float rival) const {
    const Rounding rounding = format.rounding;
    const float unit = codec_.tensor_scale * exp2_int(-facts_.exponent);  // of bytes: a power of two
    const int found = static_cast<int>(
        ue4m3_first(rounding.max_value, format.inverse_max, facts_.absmax / codec_.tensor_scale));
    const int first = is_zero() ? kOrdinary : found;
    const int top = static_cast<int>(ue4m3_scan_top(static_cast<std::uint32_t>(first)));
    const auto scale_of = [&](int byte) { return ue4m3_value(static_cast<std::uint32_t>(byte)) * unit; };
    const auto trial = [&](float scale, bool may_clip) {
      return BlockTrial{rounding, scale, ordinary_reciprocal(scale), false, may_clip};
    };
    const bool fast = effort_ == Effort::fast;

    BlockScale best{kInfinite, 0};
    bool below = false;  // all that are scanned have come below s0
    int byte = top;
    const bool is_ordinary = top == first + 7 && facts_.largest <= scale_of(first) * rounding.max_value;
    if (!fast && !sums_.any(!is_ordinary)) {
      // The octave from s0 on, where nothing clips.
      for (int step = 0; step < 8; ++step, --byte)
        keep_less(sums_.error(trial(scale_of(byte), false)), byte, best);
      below = true;
    }
    for (int step = 0;; ++step) {
      if (fast) {
        // s0, so that it is never worse than the usual absmax scale (and exact where the weights lie on a
        // grid), and the most frequent winner beside it: with few bits it pays to clip, with many to leave
        // the largest weight some room.
        if (step == 2) return best;
        const int offset = format.bits <= 4 ? (step == 0 ? 0 : format.bits <= 3 ? -2 : -1) : 1 - step;
        const int wanted = first + offset;
        byte = wanted < 1 ? 1 : wanted < top ? wanted : top;
      } else if (!below && !sums_.any(byte >= first)) {
        below = true;
        step = 0;
        byte = first - 1;
      }
      int candidate = byte;
      if (below)
        candidate = byte < 1 ? 1 : byte;
      else if (!fast)
        candidate = byte < first ? first : byte;
      const float scale = scale_of(candidate);
      if (below) {
        const float least = least_error(scale * rounding.max_value, step);
        if (!sums_.any(byte >= 1 && least < best.cost && least <= rival)) return best;
      }
      keep_less(sums_.error(trial(scale, true)), candidate, best);
      --byte;
    }
  }

  static constexpr int kOrdinary = 64;  // a byte far from both ends: what blocks of zeros are scanned from

  const ScanCodec& codec_;
  const BlockFacts& facts_;
  Effort effort_;
  const Sums& sums_;
};

}  // namespace afp
