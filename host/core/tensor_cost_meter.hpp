// TensorCostMeter: what every candidate would cost one tensor, from passes over its pieces.
//
//     scan      what tensor blocks need (a TensorMeasurement, of one to three passes), else the extent
//     blocks    once for every kind of row or small block among the candidates
//     scales    a tensor block of F32 weights under ue4m3, as often as the scan of its scales asks
//     weighted  a tensor block with an importance
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "afp/backend.hpp"
#include "afp/cost_table.hpp"
#include "afp/tensor_costs.hpp"
#include "host/core/weight_scale_scan.hpp"

namespace afp {

struct CostSettings {
  Objective objective = Objective::mse;
  Effort effort = Effort::exact;
  std::uint32_t sample = 1;  // one of so many row or small blocks
};

class TensorCostMeter {
 public:
  // `importance`: empty, or a weight for every column. F64 weights are to be passed in as F32.
  TensorCostMeter(const Backend& backend, const TensorInfo& info, const std::vector<Encoding>& candidates,
                  const CostSettings& settings, std::span<const float> importance);

  // Ends the pass before, if there was one, and begins the next: false when there is none left. Throws
  // InputError when weights were not finite.
  bool next_pass();
  const BlockGrid& grid() const { return steps_[current_].grid; }  // of the pass: its pieces are cut by it
  void take(CellRange cells, const std::byte* weights);            // in any order, from any thread

  // Whether the pass is the first over the weights or one over row or small blocks.
  bool counts_as_progress() const { return passes_ == 1 || steps_[current_].pass == Pass::blocks; }

  // After the last pass, in the order of the candidates.
  const std::vector<CandidateCost>& costs() const { return costs_; }
  double signal() const { return signal_; }

  std::uint64_t memory() const;  // bytes held besides the pieces, about

 private:
  enum class Pass { scan, blocks, scales, weighted };

  // One pass over the weights, for some of the candidates.
  struct Step {
    Pass pass;
    BlockGrid grid;
    std::vector<std::size_t> candidates;
    std::vector<std::vector<StripSums>> sums = {};   // [candidate][strip]
    std::vector<std::vector<double>> weighted = {};  // likewise
    std::unique_ptr<WeightScaleScan> scan = {};
  };

  bool finish_pass();  // true: the same pass once more
  void finish_scan();
  void finish_blocks(const Step& step);
  void finish_weighted(const Step& step);
  void plan_steps();
  void measure_tensor_blocks(const std::vector<std::size_t>& candidates);
  void add_step(Pass pass, std::vector<std::size_t> candidates);
  bool is_tensor_block(std::size_t candidate) const {
    return codecs_[candidate].encoding.block.kind == BlockKind::tensor;
  }

  void scan(const WeightPiece& piece);
  void measure_blocks(Step& step, const WeightPiece& piece) const;
  void measure_weighted(Step& step, const WeightPiece& piece) const;
  template <class Value>
  static std::span<Value> strips_of(const Step& step, std::vector<Value>& values, const WeightPiece& piece) {
    return std::span(values).subspan(piece.cells.first / cells_per_strip(step.grid),
                                     strip_count(step.grid, piece.cells));
  }

  const Backend& backend_;
  TensorInfo info_;
  DType dtype_;
  CostSettings settings_;
  std::span<const float> importance_;
  std::vector<TensorCodec> codecs_;               // of the candidates
  std::vector<std::uint8_t> tensor_scale_bytes_;  // of those that are tensor blocks
  std::vector<CandidateCost> costs_;
  double signal_ = 0.0;

  std::deque<Step> steps_;  // done, under way, to come; they do not move
  std::size_t current_ = 0;
  bool started_ = false;
  int passes_ = 0;  // begun

  std::optional<TensorMeasurement> measurement_;  // where a candidate is a tensor block
  std::mutex mutex_;                              // of the extent
  Extent extent_;
};

}  // namespace afp
