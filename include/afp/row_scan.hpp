// The search for the scale of a row of several cells, one row at a time: the definition that vector code and
// kernels are held to. What a scale costs a cell is in afp/block_search.hpp, how the cells of a row are added
// in afp/block_grid.hpp.
//
// The best scale is that of the least sum of squared errors; ties go to the larger scale, then to the first
// Format. All scales of afp/scale.hpp compete, but a scan ends where what clips costs more than the best so
// far: from there on nothing can win, for an error is never below what clips of it, sum by sum. So the
// result depends neither on how many scales are scored at a time nor on the order of the Formats.
#pragma once

#include <cstdint>

#include "afp/block_search.hpp"
#include "afp/hd.hpp"

namespace afp {

// The scan of one candidate over one row, in the row's unit:
//
//     RowScan scan(codec, codec.tensor_scale, absmax, exponent);
//     for (int f = 0; f < codec.format_count; ++f)
//       for (scan.begin(f); !scan.done(); scan.take(errors, clipped))
//         ...   // sums over the row: errors[i] under trial(i), i < asked(), and what exceeds limit()
//
// (Rows that are scanned side by side, by one warp, are all at the same Format this way.) Of a row of zeros
// nothing is asked: its byte is 0.
class RowScan {
 public:
  static constexpr int kMostAsked = 3;

  // `codec` is not copied; `tensor_scale` is taken in place of its own. `exponent` is block_exponent() of the
  // row.
  AFP_HD RowScan(const BlockCodec& codec, float tensor_scale, float absmax, int exponent)
      : best_(absmax == 0.0f ? 0.0 : kInfinite),
        codec_(codec),
        tensor_scale_(tensor_scale),
        absmax_(absmax),
        exponent_(exponent),
        largest_(absmax * exp2_int(-exponent)) {}

  // Starts with the scales of one of the codec's Formats.
  AFP_HD void begin(int format) {
    const Format shape = format == 0 ? codec_.formats[0] : codec_.formats[1];
    rounding_ = Rounding(shape);
    mark_ = format == 0 ? 0 : kUe4m3Alternative;
    if (codec_.is_e8m0()) {
      next_ = e8m0_first_exponent(shape, absmax_) + kE8m0Bias;
      lowest_ = min_scale_exponent(shape) + kE8m0Bias;
      // Of few bits the one below s0 is worth a look nearly always, of many nearly never.
      at_a_time_ = shape.bits() > 5 ? 1 : 2;
    } else {
      next_ = static_cast<int>(ue4m3_scan_top(ue4m3_first(shape, absmax_ / tensor_scale_)));
      lowest_ = 1;
      at_a_time_ = kMostAsked;
    }
    if (absmax_ == 0.0f) next_ = lowest_ - 1;
  }
  AFP_HD bool done() const { return next_ < lowest_; }

  // What to score next: scales from the largest down, 0 of them when the scan is done.
  AFP_HD int asked() const {
    const int left = next_ - lowest_ + 1;
    return left < at_a_time_ ? left : at_a_time_;
  }
  AFP_HD BlockTrial trial(int i) const {
    const float scale = scale_of(next_ - i);
    return {rounding_, scale, scale_reciprocal(scale), codec_.is_e8m0(),
            scale * rounding_.max_value < largest_};
  }
  // The largest value under the scale after these; where it is no less than all magnitudes, nothing exceeds
  // it.
  AFP_HD float limit() const { return scale_of(next_ - asked()) * rounding_.max_value; }
  AFP_HD bool limit_clips() const { return !(limit() >= largest_); }

  AFP_HD void take(const double (&errors)[kMostAsked], double clipped) {
    const int count = asked();
    for (int i = 0; i < kMostAsked; ++i) {
      if (i >= count) break;
      const float scale = scale_of(next_ - i);
      const std::uint32_t byte = static_cast<std::uint32_t>(next_ - i) | mark_;
      const bool wins_tie = scale > best_scale_ || (scale == best_scale_ && byte < best_byte_);
      if (errors[i] > best_ || (errors[i] == best_ && !wins_tie)) continue;
      best_ = errors[i];
      best_scale_ = scale;
      best_byte_ = byte;
    }
    next_ = clipped > best_ ? lowest_ - 1 : next_ - count;
  }

  // The least sum of squared errors, in squares of the row's unit, and the byte of its scale as stored.
  AFP_HD double best() const { return best_; }
  AFP_HD std::uint32_t best_byte() const { return best_byte_; }

 private:
  static constexpr double kInfinite = 0x1.fffffffffffffp1023;  // beyond any sum

  // Of a byte without the mark of its Format, exact.
  AFP_HD float scale_of(int byte) const {
    if (codec_.is_e8m0()) return bits_float(static_cast<std::uint32_t>(byte - exponent_) << 23);
    return ue4m3_value(static_cast<std::uint32_t>(byte)) * (tensor_scale_ * exp2_int(-exponent_));
  }

  double best_;
  const BlockCodec& codec_;
  float tensor_scale_;
  float absmax_;
  int exponent_;
  float largest_;  // absmax in the row's unit

  Rounding rounding_;
  std::uint32_t mark_ = 0;
  int at_a_time_ = 1;
  int next_ = 0;    // the largest byte not yet scored, without its mark
  int lowest_ = 1;  // the last one
  float best_scale_ = 0.0f;
  std::uint32_t best_byte_ = 0;
};

}  // namespace afp
