// WeightScaleScan: the scale of least squared error for a tensor block, by scoring scales over the weights
// themselves, where Statistics do not decide it (F32 weights under ue4m3).
#pragma once

#include <cstdint>
#include <vector>

#include "afp/backend.hpp"
#include "host/core/long_block.hpp"

namespace afp {

class WeightScaleScan {
 public:
  // `grid` (of a tensor block) and `codec` must outlive this.
  WeightScaleScan(const Backend& backend, const BlockGrid& grid, const TensorCodec& codec, float absmax);
  WeightScaleScan(const WeightScaleScan&) = delete;  // the scan refers to the block
  WeightScaleScan& operator=(const WeightScaleScan&) = delete;

  // Whether another pass over the weights is needed: each piece through score(), in any order, from any
  // thread.
  bool needs_scores();
  void score(const WeightPiece& piece);

  std::uint8_t best_byte() const { return scan_.best_byte(); }
  double best_error() const { return scan_.best_error(); }  // in the units of the weights

 private:
  void take_scores();

  const Backend& backend_;
  const BlockGrid& grid_;
  const TensorCodec& codec_;
  LongBlock block_;
  LongBlockScan scan_;
  std::vector<std::uint8_t> bytes_;
  std::vector<ScaleScore> scores_;  // [strip][byte]
};

}  // namespace afp
