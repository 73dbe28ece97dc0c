// The passes of a TensorCostMeter.
#include "host/core/tensor_cost_meter.hpp"

#include <algorithm>

#include "afp/block_sample.hpp"
#include "afp/scale.hpp"
#include "host/core/nonfinite.hpp"

namespace afp {

TensorCostMeter::TensorCostMeter(const Backend& backend, const TensorInfo& info,
                                 const std::vector<Encoding>& candidates, const CostSettings& settings,
                                 std::span<const float> importance)
    : backend_(backend),
      info_(info),
      dtype_(info.dtype == DType::F64 ? DType::F32 : info.dtype),
      settings_(settings),
      importance_(importance),
      tensor_scale_bytes_(candidates.size()),
      costs_(candidates.size()) {
  for (const Encoding& encoding : candidates) codecs_.push_back({encoding, 1.0f});
  for (std::size_t c = 0; c < codecs_.size(); ++c)
    if (is_tensor_block(c) && !measurement_)
      measurement_.emplace(backend, settings.objective, dtype_, info.name);
  std::vector<std::size_t> all(codecs_.size());
  for (std::size_t c = 0; c < all.size(); ++c) all[c] = c;
  add_step(Pass::scan, std::move(all));
}

std::uint64_t TensorCostMeter::memory() const {
  std::uint64_t bytes = measurement_ ? 4 << 20 : 0;
  return bytes + codecs_.size() * ceil_div(info_.elements(), kStripWeights) * sizeof(StripSums);
}

void TensorCostMeter::add_step(Pass pass, std::vector<std::size_t> candidates) {
  const Encoding& first = codecs_[candidates[0]].encoding;
  const Block block = pass == Pass::scan ? Block{BlockKind::tensor, 0} : first.block;
  Step& step =
      steps_.emplace_back(Step{pass, BlockGrid(block, first.bits(), info_.shape), std::move(candidates)});
  const std::size_t strips = strip_count(step.grid, {0, step.grid.cells()});
  if (pass == Pass::blocks) step.sums.assign(step.candidates.size(), std::vector<StripSums>(strips));
  const bool weighted = pass == Pass::weighted || (pass == Pass::blocks && !importance_.empty());
  if (weighted) step.weighted.assign(step.candidates.size(), std::vector<double>(strips));
}

bool TensorCostMeter::next_pass() {
  if (started_ && !finish_pass()) ++current_;
  if (!started_ && measurement_) measurement_->needs_pass();  // begins its first
  started_ = true;
  if (current_ == steps_.size()) return false;
  ++passes_;
  Step& step = steps_[current_];
  if (step.pass == Pass::scales && !step.scan) {
    step.scan =
        std::make_unique<WeightScaleScan>(backend_, step.grid, codecs_[step.candidates[0]], extent_.absmax);
    if (!step.scan->needs_scores()) return next_pass();
  }
  return true;
}

void TensorCostMeter::take(CellRange cells, const std::byte* weights) {
  Step& step = steps_[current_];
  const WeightPiece piece{step.grid, cells, dtype_, weights};
  switch (step.pass) {
    case Pass::scan:
      return scan(piece);
    case Pass::scales:
      return step.scan->score(piece);
    case Pass::blocks:
      return measure_blocks(step, piece);
    case Pass::weighted:
      return measure_weighted(step, piece);
  }
}

bool TensorCostMeter::finish_pass() {
  Step& step = steps_[current_];
  switch (step.pass) {
    case Pass::scan:
      if (measurement_ && measurement_->needs_pass()) return true;
      finish_scan();
      break;
    case Pass::scales:
      if (step.scan->needs_scores()) return true;
      costs_[step.candidates[0]] = {step.scan->best_error(), step.scan->best_error()};
      tensor_scale_bytes_[step.candidates[0]] = step.scan->best_byte();
      break;
    case Pass::blocks:
      finish_blocks(step);
      finish_weighted(step);
      break;
    case Pass::weighted:
      finish_weighted(step);
      break;
  }
  return false;
}

void TensorCostMeter::scan(const WeightPiece& piece) {
  if (measurement_) return measurement_->take(piece);
  const Extent part = backend_.extent(piece);
  const std::lock_guard lock(mutex_);
  extent_.merge(part);
}

void TensorCostMeter::finish_scan() {
  if (measurement_) {
    extent_.absmax = measurement_->statistics().absmax();
    signal_ = measurement_->signal();
  }
  throw_if_nonfinite(extent_.nonfinite, info_.name);
  for (TensorCodec& codec : codecs_) {
    if (codec.encoding.scale == ScaleKind::ue4m3)
      codec.tensor_scale = ue4m3_tensor_scale(codec.encoding.smallest_max_value(), extent_.absmax);
  }
  plan_steps();
}

void TensorCostMeter::plan_steps() {
  std::vector<std::size_t> tensor_blocks;
  std::vector<std::vector<std::size_t>> by_block;
  for (std::size_t c = 0; c < codecs_.size(); ++c) {
    if (is_tensor_block(c)) {
      tensor_blocks.push_back(c);
      continue;
    }
    const auto same = std::find_if(by_block.begin(), by_block.end(), [&](const auto& group) {
      return codecs_[group[0]].encoding.block == codecs_[c].encoding.block;
    });
    if (same == by_block.end())
      by_block.push_back({c});
    else
      same->push_back(c);
  }
  measure_tensor_blocks(tensor_blocks);
  for (std::vector<std::size_t>& group : by_block) add_step(Pass::blocks, std::move(group));
}

void TensorCostMeter::measure_tensor_blocks(const std::vector<std::size_t>& candidates) {
  if (candidates.empty()) return;
  std::vector<Encoding> encodings;
  for (const std::size_t c : candidates) encodings.push_back(codecs_[c].encoding);
  const std::vector<std::optional<TensorBlockCost>> costs = tensor_block_costs(*measurement_, encodings);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::size_t c = candidates[i];
    if (costs[i]) {
      costs_[c] = *costs[i];
      tensor_scale_bytes_[c] = costs[i]->scale.byte;
    } else {
      add_step(Pass::scales, {c});
    }
    if (!importance_.empty()) add_step(Pass::weighted, {c});
  }
}

void TensorCostMeter::measure_blocks(Step& step, const WeightPiece& piece) const {
  std::vector<TensorCodec> codecs;
  std::vector<std::span<StripSums>> sums;
  for (std::size_t i = 0; i < step.candidates.size(); ++i) {
    codecs.push_back(codecs_[step.candidates[i]]);
    sums.push_back(strips_of(step, step.sums[i], piece));
  }
  if (importance_.empty()) {
    backend_.block_costs(piece, codecs, settings_.effort, settings_.sample, sums);
    return;
  }
  const std::size_t blocks = piece.cells.count == 0
                                 ? 0
                                 : step.grid.scale_index(piece.cells.first + piece.cells.count - 1) -
                                       step.grid.scale_index(piece.cells.first) + 1;
  std::vector<std::vector<std::uint8_t>> bytes(codecs.size(), std::vector<std::uint8_t>(blocks));
  const std::vector<std::span<std::uint8_t>> scales(bytes.begin(), bytes.end());
  backend_.choose_scales(piece, codecs, settings_.effort, scales, sums);
  for (std::size_t i = 0; i < codecs.size(); ++i)
    backend_.weighted_errors(piece, codecs[i], scales[i], importance_,
                             strips_of(step, step.weighted[i], piece));
}

void TensorCostMeter::measure_weighted(Step& step, const WeightPiece& piece) const {
  const std::size_t candidate = step.candidates[0];
  backend_.weighted_errors(piece, codecs_[candidate], {&tensor_scale_bytes_[candidate], 1}, importance_,
                           strips_of(step, step.weighted[0], piece));
}

// Sampled sums stand for the whole tensor.
void TensorCostMeter::finish_blocks(const Step& step) {
  double share = 1.0;
  if (settings_.sample > 1 && importance_.empty())
    share = static_cast<double>(step.grid.weights()) /
            static_cast<double>(
                BlockSample(step.grid, settings_.sample).weights(step.grid, {0, step.grid.cells()}));
  for (std::size_t i = 0; i < step.candidates.size(); ++i) {
    double error = 0.0, signal = 0.0;
    for (const StripSums& strip : step.sums[i]) {
      error += strip.error;
      signal += strip.signal;
    }
    costs_[step.candidates[i]] = {error * share, error * share};
    if (!measurement_) signal_ = signal * share;
  }
}

// In place of the plain squared errors.
void TensorCostMeter::finish_weighted(const Step& step) {
  for (std::size_t i = 0; i < step.weighted.size(); ++i) {
    double error = 0.0;
    for (const double strip : step.weighted[i]) error += strip;
    costs_[step.candidates[i]].cost = error;
  }
}

}  // namespace afp
