// The passes of a measurement, and the costs from what they gathered.
#include "afp/tensor_costs.hpp"

#include <utility>

#include "afp/error.hpp"
#include "afp/key_table.hpp"
#include "host/core/count_sums.hpp"
#include "host/core/level_shares.hpp"
#include "host/core/nonfinite.hpp"

namespace afp {

TensorMeasurement::TensorMeasurement(const Backend& backend, Objective objective, DType dtype,
                                     std::string tensor)
    : backend_(backend), objective_(objective), tensor_(std::move(tensor)), statistics_(dtype) {}

// Between passes: nobody holds the lock.
TensorMeasurement::TensorMeasurement(TensorMeasurement&& other) noexcept
    : backend_(other.backend_),
      objective_(other.objective_),
      tensor_(std::move(other.tensor_)),
      pass_(other.pass_),
      statistics_(std::move(other.statistics_)),
      extent_(other.extent_),
      within_(other.within_),
      histogram_(std::move(other.histogram_)),
      counts_(std::move(other.counts_)),
      shares_(std::move(other.shares_)) {}

TensorMeasurement::~TensorMeasurement() = default;

void TensorMeasurement::take(const WeightPiece& piece) {
  switch (pass_) {
    case Pass::scan: {
      Statistics part(piece.dtype);
      backend_.accumulate(piece, part);
      Extent extent;
      if (needs_extent()) extent = backend_.extent(piece);
      const std::lock_guard lock(mutex_);
      statistics_.merge(std::move(part));
      extent_.merge(extent);
      return;
    }
    case Pass::count: {
      const std::uint64_t within = backend_.count_within(piece, histogram_limit());
      const std::lock_guard lock(mutex_);
      within_ += within;
      return;
    }
    case Pass::histogram: {
      LinearHistogram part(histogram_->limit(), histogram_->bins());
      backend_.accumulate(piece, part);
      const std::lock_guard lock(mutex_);
      histogram_->merge(part);
      return;
    }
    case Pass::none:
    case Pass::done:
      throw UsageError("a piece of weights was given between the passes of a measurement");
  }
}

// What the histogram begins and ends with; kl does not ask for signs, and 16-bit keys tell magnitudes.
bool TensorMeasurement::needs_extent() const {
  return objective_ == Objective::kl_seed ||
         (objective_ == Objective::kl && statistics_.dtype() == DType::F32);
}

void TensorMeasurement::take_extent_from_keys() {
  extent_.absmax = statistics_.absmax();
  extent_.zeros = statistics_.zeros();
  std::size_t key = extent_.zeros != 0 ? 0 : statistics_.first_key();
  while (key < statistics_.end_key() && statistics_.key(key).count == 0) ++key;
  extent_.smallest_magnitude = statistics_.key(key).base;
}

// The original takes the largest weight, by sign, and fails where there is no positive one.
float TensorMeasurement::histogram_limit() const {
  return objective_ == Objective::kl_seed && extent_.largest > 0.0f ? extent_.largest : extent_.absmax;
}

void TensorMeasurement::begin_histogram(std::uint64_t count_in_range) {
  const float limit = histogram_limit();
  histogram_.emplace(limit,
                     LinearHistogram::square_root_rule(limit, extent_.smallest_magnitude, count_in_range));
}

bool TensorMeasurement::needs_pass() {
  const bool is_f32 = statistics_.dtype() == DType::F32;
  switch (pass_) {
    case Pass::none:
      pass_ = Pass::scan;
      return true;
    case Pass::scan:
      throw_if_nonfinite(statistics_.nonfinite(), tensor_);
      if (objective_ == Objective::kl && !is_f32) take_extent_from_keys();
      if (objective_ != Objective::mse) counts_ = std::make_unique<const CountSums>(statistics_);
      if (objective_ == Objective::mse || statistics_.absmax() == 0.0f) break;
      if (histogram_limit() < extent_.absmax) {
        if (is_f32) {
          pass_ = Pass::count;
          return true;
        }
        within_ = counts_->view().below(static_cast<double>(histogram_limit()), true);
      } else {
        within_ = statistics_.count();
      }
      begin_histogram(within_);
      if (is_f32) {
        pass_ = Pass::histogram;
        return true;
      }
      histogram_->add(statistics_);
      break;
    case Pass::count:
      begin_histogram(within_);
      pass_ = Pass::histogram;
      return true;
    case Pass::histogram:
    case Pass::done:
      break;
  }
  finish();
  return false;
}

void TensorMeasurement::finish() {
  pass_ = Pass::done;
  if (histogram_ && !shares_)
    shares_ = magnitude_shares(*histogram_, objective_ == Objective::kl ? kBinCentre : kSeedCoordinate);
}

std::vector<double> TensorMeasurement::compare(std::span<const LevelShares> rounded) const {
  std::vector<double> divergences(rounded.size());
  backend_.compare_shares(*shares_, rounded, divergences);
  return divergences;
}

std::vector<double> TensorMeasurement::divergences(std::span<const ScaledFormat> formats) const {
  if (!shares_) return std::vector<double>(formats.size());
  std::vector<LevelShares> rounded;
  rounded.reserve(formats.size());
  for (const ScaledFormat& scaled : formats)
    rounded.push_back(format_level_shares(counts_->view(), scaled.format, scaled.scale));
  return compare(rounded);
}

std::vector<double> TensorMeasurement::seed_divergences(std::span<const SeedShape> shapes) const {
  for (const auto [e, m] : shapes)
    if (e < 0 || m < 0 || e + m < 1 || e + m > 7)
      throw UsageError("levels of " + std::to_string(e) + " exponent and " + std::to_string(m) +
                       " mantissa bits; expected 1 to 7 bits in all");
  if (!shares_) return std::vector<double>(shapes.size());
  std::vector<LevelShares> rounded;
  rounded.reserve(shapes.size());
  for (const auto [e, m] : shapes)
    rounded.push_back(seed_level_shares(counts_->view(), extent_.absmax, e, m));
  return compare(rounded);
}

double TensorMeasurement::divergence(Format format, float scale) const {
  const ScaledFormat scaled{format, scale};
  return divergences({&scaled, 1})[0];
}

double TensorMeasurement::seed_divergence(int exponent_bits, int mantissa_bits) const {
  const SeedShape shape{exponent_bits, mantissa_bits};
  return seed_divergences({&shape, 1})[0];
}

TensorMeasurement measure_tensor(const Backend& backend, Objective objective, DType dtype,
                                 std::span<const std::byte> weights, std::string tensor) {
  TensorMeasurement measurement(backend, objective, dtype, std::move(tensor));
  const std::uint64_t count = weights.size() * 8 / static_cast<std::uint64_t>(dtype_bits(dtype));
  const BlockGrid grid({BlockKind::tensor, 0}, kMaxBits, {count});
  while (measurement.needs_pass()) measurement.take({grid, {0, grid.cells()}, dtype, weights.data()});
  return measurement;
}

std::vector<std::optional<TensorScale>> choose_tensor_scales(const Backend& backend,
                                                             const Statistics& statistics,
                                                             std::span<const Encoding> candidates) {
  for (const Encoding& encoding : candidates)
    if (encoding.block.kind != BlockKind::tensor)
      throw UsageError("the candidate " + to_string(encoding) + " has no tensor block");
  std::vector<std::optional<TensorScale>> scales(candidates.size());
  backend.choose_tensor_scales(KeyTable(statistics), candidates, scales);
  return scales;
}

std::vector<std::optional<TensorBlockCost>> tensor_block_costs(const TensorMeasurement& measurement,
                                                               std::span<const Encoding> candidates) {
  const auto scales = choose_tensor_scales(measurement.backend(), measurement.statistics(), candidates);
  std::vector<std::optional<TensorBlockCost>> costs(candidates.size());
  std::vector<std::size_t> scaled;  // candidates that have a scale, and what they are compared by
  std::vector<ScaledFormat> formats;
  std::vector<SeedShape> shapes;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    if (!scales[c]) continue;
    TensorBlockCost& result = costs[c].emplace();
    result.scale = *scales[c];
    result.cost = result.squared_error = scales[c]->squared_error;
    const Format format = candidates[c].format_of(scales[c]->byte);
    scaled.push_back(c);
    formats.push_back(
        {format, TensorCodec{candidates[c], scales[c]->tensor_scale}.scale_value(scales[c]->byte)});
    shapes.push_back({format.exponent_bits, format.mantissa_bits});
  }
  if (measurement.objective() == Objective::mse) return costs;
  const auto weights = static_cast<double>(measurement.weights());
  const std::vector<double> divergences = measurement.objective() == Objective::kl
                                              ? measurement.divergences(formats)
                                              : measurement.seed_divergences(shapes);
  for (std::size_t i = 0; i < scaled.size(); ++i) costs[scaled[i]]->cost = weights * divergences[i];
  return costs;
}

}  // namespace afp
