// The scan for the best scale of a long block (a row of several cells, a tensor), cut into windows
// of scales that are scored together in one pass over the weights.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "afp/backend.hpp"

namespace afp {

class LongBlockScan {
 public:
  LongBlockScan(const TensorCodec& codec, const LongBlock& block);

  // The scale bytes to score next, largest scale first; empty when the scan is over.
  std::vector<std::uint8_t> next();
  // The totals over the block for what next() returned.
  void take(std::span<const std::uint8_t> bytes, std::span<const ScaleScore> totals);

  std::uint8_t best_byte() const { return best_byte_; }
  double best_error() const;  // in the units of the weights

 private:
  void start_format();
  bool format_is_done() const;

  const TensorCodec& codec_;
  const LongBlock& block_;
  int format_ = 0;     // 0 or 1
  int next_byte_ = 0;  // bits 0..6 for ue4m3, the whole byte for e8m0
  int lowest_byte_ = 0;
  bool window_started_ = false;
  double clipped_ = 0.0;  // of the smallest scale scored so far, under this Format
  double format_best_ = std::numeric_limits<double>::infinity();
  double best_ = std::numeric_limits<double>::infinity();
  std::uint8_t best_byte_ = 0;
};

}  // namespace afp
