// The passes of one tensor.
#include "host/core/tensor_encoder.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "afp/error.hpp"
#include "afp/objective.hpp"
#include "afp/scale.hpp"
#include "afp/tensor_costs.hpp"
#include "host/core/nonfinite.hpp"

namespace afp {
TensorEncoder::TensorEncoder(const Backend& backend, const TensorInfo& info, std::vector<Encoding> candidates,
                             Effort effort)
    : backend_(backend),
      info_(info),
      grid_(candidates.at(0).block, candidates.at(0).bits(), info.shape),
      dtype_(info.dtype == DType::F64 ? DType::F32 : info.dtype),
      effort_(effort) {
  if (!is_quantizable(info.dtype))
    throw InputError(
        "its dtype is " + std::string(dtype_name(info.dtype)) + "; expected BF16, F16, F32 or F64", "",
        info.name);
  const Encoding& first = candidates[0];
  const std::size_t strips = strip_count(grid_, {0, grid_.cells()});
  for (const Encoding& encoding : candidates) {
    if (encoding.block != first.block || encoding.scale != first.scale || encoding.bits() != first.bits())
      throw UsageError("the candidates " + to_string(first) + " and " + to_string(encoding) +
                       " differ in more than their Formats");
    candidates_.push_back({{encoding, 1.0f}, std::vector<std::uint8_t>(grid_.scale_count()), {}});
    if (first.block.kind != BlockKind::tensor) candidates_.back().sums.resize(strips);
  }
  if (first.block.kind == BlockKind::tensor)
    statistics_.emplace(dtype_);
  else
    needs_extent_ = first.scale == ScaleKind::ue4m3;
}

std::uint64_t TensorEncoder::memory() const {
  std::uint64_t bytes = statistics_ ? 4 << 20 : 0;
  for (const Candidate& candidate : candidates_)
    bytes += candidate.scales.size() + candidate.sums.size() * sizeof(StripSums);
  return bytes;
}

void TensorEncoder::scan(const WeightPiece& piece) {
  if (statistics_) {
    Statistics part(dtype_);
    backend_.accumulate(piece, part);
    const std::lock_guard lock(mutex_);
    statistics_->merge(std::move(part));
    return;
  }
  const Extent extent = backend_.extent(piece);
  nonfinite_ += extent.nonfinite;
  const std::lock_guard lock(mutex_);
  absmax_ = std::max(absmax_, extent.absmax);
}

void TensorEncoder::check_finite() const {
  throw_if_nonfinite(nonfinite_, info_.name);
}

void TensorEncoder::finish_scan() {
  if (statistics_) {
    nonfinite_ = statistics_->nonfinite();
    absmax_ = statistics_->absmax();
  }
  check_finite();
  if (candidates_[0].codec.encoding.scale == ScaleKind::ue4m3)
    for (Candidate& candidate : candidates_)
      candidate.codec.tensor_scale =
          ue4m3_tensor_scale(candidate.codec.encoding.smallest_max_value(), absmax_);
  if (statistics_) choose_from_statistics();
}

void TensorEncoder::choose_from_statistics() {
  signal_ = statistics_->sum_of_squares();
  error_ = std::numeric_limits<double>::infinity();
  std::vector<Encoding> encodings;
  for (const Candidate& candidate : candidates_) encodings.push_back(candidate.codec.encoding);
  const auto scales = choose_tensor_scales(backend_, *statistics_, encodings);
  for (std::size_t c = 0; c < candidates_.size(); ++c) {
    const std::optional<TensorScale>& best = scales[c];
    if (!best) {  // F32 under ue4m3: scored over the weights themselves
      scan_best_ = std::numeric_limits<double>::infinity();
      start_scan_of_scales();
      return;
    }
    candidates_[c].codec.tensor_scale = best->tensor_scale;
    if (!candidates_[c].scales.empty()) candidates_[c].scales[0] = best->byte;
    if (best->squared_error < error_) {
      error_ = best->squared_error;
      chosen_ = c;
    }
  }
  scales_are_known_ = true;
}

void TensorEncoder::start_scan_of_scales() {
  scale_scan_ =
      std::make_unique<WeightScaleScan>(backend_, grid_, candidates_[scan_candidate_].codec, absmax_);
}

bool TensorEncoder::needs_scores() {
  while (scale_scan_) {
    if (scale_scan_->needs_scores()) return true;
    Candidate& candidate = candidates_[scan_candidate_];
    if (!candidate.scales.empty()) candidate.scales[0] = scale_scan_->best_byte();
    if (scale_scan_->best_error() < scan_best_) {
      scan_best_ = scale_scan_->best_error();
      error_ = scan_best_;
      chosen_ = scan_candidate_;
    }
    scale_scan_.reset();
    if (++scan_candidate_ < candidates_.size())
      start_scan_of_scales();
    else
      scales_are_known_ = true;
  }
  return false;
}

void TensorEncoder::score(const WeightPiece& piece) {
  scale_scan_->score(piece);
}

std::span<std::uint8_t> TensorEncoder::scales_of(Candidate& candidate, const WeightPiece& piece) const {
  if (piece.cells.count == 0) return {};
  const std::uint64_t first = grid_.scale_index(piece.cells.first);
  const std::uint64_t last = grid_.scale_index(piece.cells.first + piece.cells.count - 1);
  return std::span(candidate.scales).subspan(first, last - first + 1);
}

std::span<StripSums> TensorEncoder::sums_of(Candidate& candidate, const WeightPiece& piece) const {
  return std::span(candidate.sums).subspan(first_strip(piece), strip_count(grid_, piece.cells));
}

void TensorEncoder::choose(const WeightPiece& piece) {
  if (!needs_scan()) nonfinite_ += backend_.extent(piece).nonfinite;
  if (nonfinite_ != 0) return;
  std::vector<TensorCodec> codecs;
  std::vector<std::span<std::uint8_t>> scales;
  std::vector<std::span<StripSums>> sums;
  for (Candidate& candidate : candidates_) {
    codecs.push_back(candidate.codec);
    scales.push_back(scales_of(candidate, piece));
    sums.push_back(sums_of(candidate, piece));
  }
  backend_.choose_scales(piece, codecs, effort_, scales, sums);
}

void TensorEncoder::total_sums(const Candidate& candidate, double& error, double& signal) const {
  error = signal = 0.0;
  for (const StripSums& strip : candidate.sums) {
    error += strip.error;
    signal += strip.signal;
  }
}

void TensorEncoder::finish_choice() {
  check_finite();
  error_ = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < candidates_.size(); ++c) {
    double error, signal;
    total_sums(candidates_[c], error, signal);
    if (error < error_) {
      error_ = error;
      signal_ = signal;
      chosen_ = c;
    }
  }
  scales_are_known_ = true;
}

void TensorEncoder::encode(const WeightPiece& piece, std::span<std::uint8_t> codes) {
  Candidate& candidate = candidates_[chosen_];
  if (scales_are_known_) {
    backend_.encode(piece, candidate.codec, scales_of(candidate, piece), codes);
    return;
  }
  if (!needs_scan()) nonfinite_ += backend_.extent(piece).nonfinite;
  if (nonfinite_ != 0) return;  // counted to the end of the tensor, then refused
  backend_.quantize(piece, candidate.codec, effort_, scales_of(candidate, piece), sums_of(candidate, piece),
                    codes);
}

void TensorEncoder::finish() {
  check_finite();
  if (!scales_are_known_) total_sums(chosen(), error_, signal_);
}

}  // namespace afp
