// TensorScaleScan: the scan for the scale of a tensor block (see afp/scale.hpp) as a sequence of decisions,
// whatever sums the errors up. Host/device neutral.
//
//     TensorScaleScan scan(codec, absmax);
//     while (scan.left() > 0) scan.take(errors of scan.format() under scan.value());
//     scan.best()
//
// Several scales ahead may be scored together: value(0) .. value(left() - 1) are those that take() will ask
// for, until it ends the scan of a Format (format_index() changes) because no scale further down can win.
#pragma once

#include <cstdint>
#include <limits>

#include "afp/block_search.hpp"
#include "afp/key_table.hpp"
#include "afp/objective.hpp"
#include "afp/scale.hpp"

namespace afp {

class TensorScaleScan {
 public:
  // `codec` with the tensor_scale that it gets for absmax: tensor_block_codec.
  AFP_HD constexpr TensorScaleScan(const BlockCodec& codec, float absmax)
      : codec_(codec),
        absmax_(absmax),
        best_{0, absmax == 0.0f ? 1.0f : codec.tensor_scale, absmax == 0.0f ? 0.0 : kInfinity} {
    if (absmax != 0.0f) begin_format();
  }

  AFP_HD constexpr int format_index() const { return which_; }
  AFP_HD constexpr Format format() const { return which_ == 0 ? codec_.formats[0] : codec_.formats[1]; }
  // Scales of this Format that may still be asked for; 0 at the end of the scan.
  AFP_HD constexpr int left() const { return byte_ - lowest_ + 1; }
  AFP_HD constexpr float value(int ahead = 0) const {
    const auto byte = static_cast<std::uint32_t>(byte_ - ahead);
    return codec_.is_e8m0() ? e8m0_value(byte) : ue4m3_value(byte) * codec_.tensor_scale;
  }

  AFP_HD constexpr void take(const KeyErrors& errors) {
    const float scale = value();
    if (errors.total < best_.squared_error || (errors.total == best_.squared_error && scale > best_value_)) {
      best_.squared_error = errors.total;
      best_.byte = static_cast<std::uint8_t>(static_cast<std::uint32_t>(byte_) |
                                             (which_ == 0 ? 0u : kUe4m3Alternative));
      best_value_ = scale;
    }
    if (errors.total < best_of_format_) best_of_format_ = errors.total;
    --byte_;
    if (byte_ >= lowest_ && !(errors.clipped > best_of_format_)) return;
    byte_ = lowest_ - 1;
    if (++which_ < codec_.format_count) begin_format();
  }

  AFP_HD constexpr const TensorScale& best() const { return best_; }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  AFP_HD constexpr void begin_format() {
    best_of_format_ = kInfinity;
    if (codec_.is_e8m0()) {
      byte_ = e8m0_first_exponent(format(), absmax_) + kE8m0Bias;
      lowest_ = min_scale_exponent(format()) + kE8m0Bias;
    } else {
      byte_ = static_cast<int>(ue4m3_scan_top(ue4m3_first(format(), absmax_ / codec_.tensor_scale)));
      lowest_ = 1;
    }
  }

  BlockCodec codec_;
  float absmax_;
  TensorScale best_;
  float best_value_ = 0.0f;
  double best_of_format_ = kInfinity;
  int which_ = 0, byte_ = 0, lowest_ = 1;
};

// A candidate's codec for tensors whose largest magnitude is absmax.
AFP_HD constexpr BlockCodec tensor_block_codec(BlockCodec candidate, float absmax) {
  if (candidate.is_e8m0()) return candidate;
  const float first = candidate.formats[0].max_value(), second = candidate.formats[1].max_value();
  const bool is_pair = candidate.format_count == 2;
  candidate.tensor_scale = ue4m3_tensor_scale(is_pair && second < first ? second : first, absmax);
  return candidate;
}

// Statistics of F32 weights do not decide scales that are no powers of two.
AFP_HD constexpr bool keys_decide(DType dtype, ScaleKind scale) {
  return dtype != DType::F32 || scale == ScaleKind::e8m0;
}

}  // namespace afp
