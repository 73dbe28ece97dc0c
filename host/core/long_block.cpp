// The scan of afp/scale.hpp, window by window.
#include "host/core/long_block.hpp"

#include <algorithm>
#include <cmath>

#include "afp/codec.hpp"
#include "afp/scale.hpp"

namespace afp {
namespace {

// Enough for the whole scan of ordinary weights in one pass; what remains goes in smaller steps.
constexpr int kFirstWindowE8m0 = 3;
constexpr int kFirstWindowUe4m3 = 12;
constexpr int kNextWindow = 4;

bool is_e8m0(const TensorCodec& codec) {
  return codec.encoding.scale == ScaleKind::e8m0;
}

}  // namespace

LongBlock::LongBlock(const TensorCodec& codec, float absmax_)
    : absmax(absmax_), exponent(block_exponent(lowest_block_exponent(codec), absmax_)) {}

float LongBlock::normalized_scale(const TensorCodec& codec, std::uint8_t byte) const {
  return static_cast<float>(std::ldexp(static_cast<double>(codec.scale_value(byte)), -exponent));
}

LongBlockScan::LongBlockScan(const TensorCodec& codec, const LongBlock& block)
    : codec_(codec), block_(block) {
  if (block.absmax == 0.0f) {
    format_ = codec.encoding.format_count();  // over before it began: byte 0
    best_ = 0.0;
    return;
  }
  start_format();
}

void LongBlockScan::start_format() {
  const Format format = format_ == 0 ? codec_.encoding.format : *codec_.encoding.alternative;
  if (is_e8m0(codec_)) {
    next_byte_ = e8m0_first_exponent(format, block_.absmax) + kE8m0Bias;
    lowest_byte_ = min_scale_exponent(format) + kE8m0Bias;
  } else {
    next_byte_ = static_cast<int>(ue4m3_scan_top(ue4m3_first(format, block_.absmax / codec_.tensor_scale)));
    lowest_byte_ = 1;
  }
  window_started_ = false;
  clipped_ = 0.0;
  format_best_ = std::numeric_limits<double>::infinity();
}

bool LongBlockScan::format_is_done() const {
  return next_byte_ < lowest_byte_ || clipped_ > format_best_;
}

std::vector<std::uint8_t> LongBlockScan::next() {
  std::vector<std::uint8_t> bytes;
  while (format_ < codec_.encoding.format_count() && format_is_done()) {
    if (++format_ < codec_.encoding.format_count()) start_format();
  }
  if (format_ >= codec_.encoding.format_count()) return bytes;
  const int first_window = is_e8m0(codec_) ? kFirstWindowE8m0 : kFirstWindowUe4m3;
  const int window = std::min(window_started_ ? kNextWindow : first_window, next_byte_ - lowest_byte_ + 1);
  window_started_ = true;
  const int mark = format_ == 1 ? static_cast<int>(kUe4m3Alternative) : 0;
  for (int i = 0; i < window; ++i) bytes.push_back(static_cast<std::uint8_t>(next_byte_-- | mark));
  return bytes;
}

void LongBlockScan::take(std::span<const std::uint8_t> bytes, std::span<const ScaleScore> totals) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (clipped_ > format_best_) return;  // the rest of the window is beyond the scan's end
    const bool larger =
        totals[i].error == best_ && codec_.scale_value(bytes[i]) > codec_.scale_value(best_byte_);
    if (totals[i].error < best_ || larger) {
      best_ = totals[i].error;
      best_byte_ = bytes[i];
    }
    format_best_ = std::min(format_best_, totals[i].error);
    clipped_ = totals[i].clipped;
  }
}

double LongBlockScan::best_error() const {
  return std::ldexp(best_, 2 * block_.exponent);
}

}  // namespace afp
