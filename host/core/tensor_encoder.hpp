// TensorEncoder: takes one tensor, piece by piece, from its weights to codes. Which passes over the
// weights it needs depends on the candidates; the pieces of a pass may come in any order and from any thread.
//
//     scan    tensor blocks (Statistics) and ue4m3 (the tensor's largest magnitude)
//     score   tensor blocks of F32 weights under ue4m3, as often as needs_scores() says
//     choose  several candidates for row and small blocks
//     encode  always
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "afp/backend.hpp"
#include "host/core/weight_scale_scan.hpp"

namespace afp {

class TensorEncoder {
 public:
  // The candidates have one block, scale kind and N. `info` is of a quantizable dtype; F64 weights are to
  // be passed in as F32.
  TensorEncoder(const Backend& backend, const TensorInfo& info, std::vector<Encoding> candidates,
                Effort effort);

  const BlockGrid& grid() const { return grid_; }
  DType piece_dtype() const { return dtype_; }
  WeightPiece piece(CellRange cells, const std::byte* weights) const {
    return {grid_, cells, dtype_, weights};
  }

  bool needs_scan() const { return needs_extent_ || statistics_.has_value(); }
  void scan(const WeightPiece& piece);
  void finish_scan();  // throws InputError when weights were not finite

  bool needs_scores();
  void score(const WeightPiece& piece);

  bool needs_choice() const { return candidates_.size() > 1 && grid_.block.kind != BlockKind::tensor; }
  void choose(const WeightPiece& piece);
  void finish_choice();

  void encode(const WeightPiece& piece, std::span<std::uint8_t> codes);
  void finish();  // throws InputError when weights were not finite

  // After finish().
  const Encoding& encoding() const { return chosen().codec.encoding; }
  float tensor_scale() const { return chosen().codec.tensor_scale; }
  std::span<const std::uint8_t> scales() const { return chosen().scales; }
  double squared_error() const { return error_; }
  double signal() const { return signal_; }

  // Bytes held besides the pieces.
  std::uint64_t memory() const;

 private:
  struct Candidate {
    TensorCodec codec;
    std::vector<std::uint8_t> scales;
    std::vector<StripSums> sums;  // one a strip of the tensor
  };

  const Candidate& chosen() const { return candidates_[chosen_]; }
  void check_finite() const;
  void choose_from_statistics();
  void start_scan_of_scales();
  std::size_t first_strip(const WeightPiece& piece) const {
    return piece.cells.first / cells_per_strip(grid_);
  }
  std::span<std::uint8_t> scales_of(Candidate& candidate, const WeightPiece& piece) const;
  std::span<StripSums> sums_of(Candidate& candidate, const WeightPiece& piece) const;
  void total_sums(const Candidate& candidate, double& error, double& signal) const;

  const Backend& backend_;
  TensorInfo info_;
  BlockGrid grid_;
  DType dtype_;
  Effort effort_;
  std::vector<Candidate> candidates_;
  std::size_t chosen_ = 0;
  bool needs_extent_ = false;
  bool scales_are_known_ = false;
  std::atomic<std::uint64_t> nonfinite_ = 0;
  std::mutex mutex_;
  float absmax_ = 0.0f;
  std::optional<Statistics> statistics_;
  double error_ = 0.0;
  double signal_ = 0.0;

  // Of a tensor block that Statistics do not decide: candidate by candidate.
  std::size_t scan_candidate_ = 0;
  double scan_best_ = 0.0;
  std::unique_ptr<WeightScaleScan> scale_scan_;
};

}  // namespace afp
