// What tensor blocks cost under an objective: the passes over a tensor's weights that it takes, then the cost
// of any number of candidates at no cost per weight.
//
//     TensorMeasurement measurement(backend, Objective::kl, DType::F32);
//     while (measurement.needs_pass())
//       for (each piece of the tensor) measurement.take(piece);
//     costs = tensor_block_costs(measurement, candidates);
//
// mse takes one pass. kl and kl-seed of BF16 and F16 weights too, for there Statistics tell every value; of
// F32 weights they take a second one for the linear histogram, and kl-seed one between them where the largest
// weight is not the one of largest magnitude.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/encoding.hpp"
#include "afp/linear_histogram.hpp"
#include "afp/objective.hpp"
#include "afp/statistics.hpp"

namespace afp {

class CountSums;

// A Format and the scale it is used under.
struct ScaledFormat {
  Format format;
  float scale = 1.0f;
};
// What the original knows of a Format, without exponent bits too.
struct SeedShape {
  int exponent_bits = 2;
  int mantissa_bits = 1;
};

class TensorMeasurement {
 public:
  // Of weights of BF16, F16 or F32 (F64 weights are to be passed in as F32). `tensor` is the name for errors.
  // The backend must outlive this.
  TensorMeasurement(const Backend& backend, Objective objective, DType dtype, std::string tensor = {});
  TensorMeasurement(TensorMeasurement&&) noexcept;
  ~TensorMeasurement();

  // Ends the pass so far, if any, and says whether another one is needed. Throws InputError with the number
  // of NaN and infinite weights after the first pass found some.
  bool needs_pass();
  // A piece of the tensor; the pieces of a pass may come in any order and from any thread.
  void take(const WeightPiece& piece);

  // After the last pass.
  const Backend& backend() const { return backend_; }
  Objective objective() const { return objective_; }
  const Statistics& statistics() const { return statistics_; }
  double signal() const { return statistics_.sum_of_squares(); }
  std::uint64_t weights() const { return statistics_.count(); }
  // Of kl and kl-seed, but not of a tensor of zeros.
  const LinearHistogram* histogram() const { return histogram_ ? &*histogram_ : nullptr; }

  // Of kl and kl-seed: the divergence, a weight, of rounding to each Format under its scale (for F32 a power
  // of two); and to the original's levels for E exponent and M mantissa bits (0 <= E, M and
  // 1 <= E + M <= 7). Many in one call are what a device is good at.
  std::vector<double> divergences(std::span<const ScaledFormat> formats) const;
  std::vector<double> seed_divergences(std::span<const SeedShape> shapes) const;
  double divergence(Format format, float scale) const;
  double seed_divergence(int exponent_bits, int mantissa_bits) const;

 private:
  enum class Pass { none, scan, count, histogram, done };

  bool needs_extent() const;
  void take_extent_from_keys();
  void begin_histogram(std::uint64_t count_in_range);
  float histogram_limit() const;
  void finish();
  std::vector<double> compare(std::span<const LevelShares> rounded) const;

  const Backend& backend_;
  Objective objective_;
  std::string tensor_;
  Pass pass_ = Pass::none;
  std::mutex mutex_;
  Statistics statistics_;
  Extent extent_;
  std::uint64_t within_ = 0;
  std::optional<LinearHistogram> histogram_;
  std::unique_ptr<const CountSums> counts_;
  std::optional<MagnitudeShares> shares_;
};

// All passes over a tensor in memory.
TensorMeasurement measure_tensor(const Backend& backend, Objective objective, DType dtype,
                                 std::span<const std::byte> weights, std::string tensor = {});

// A candidate's cost, and the scale that it is quantized with: always the one of least squared error.
struct TensorBlockCost : CandidateCost {
  TensorScale scale;
};

// One entry a candidate, whose block must be tensor (UsageError otherwise). Nothing for F32 weights under
// ue4m3, whose scale Statistics do not decide. Under kl and kl-seed the cost is the divergence times the
// number of weights; kl-seed measures it under the original's scale, which never clips.
std::vector<std::optional<TensorBlockCost>> tensor_block_costs(const TensorMeasurement& measurement,
                                                               std::span<const Encoding> candidates);

// choose_tensor_scale of every candidate, summed by a backend: the same bits.
std::vector<std::optional<TensorScale>> choose_tensor_scales(const Backend& backend,
                                                             const Statistics& statistics,
                                                             std::span<const Encoding> candidates);

}  // namespace afp
