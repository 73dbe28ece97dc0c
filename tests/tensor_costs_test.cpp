// The costs of all candidates for tensor blocks against really quantizing every weight with each.
#include "afp/tensor_costs.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "afp/codec.hpp"
#include "afp/error.hpp"
#include "afp/scale.hpp"
#include "expect_error.hpp"
#include "reference.hpp"
#include "reference_kl.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using reference::Grid;
using reference::Real;
using sample::Family;
using sample::Weights;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
constexpr Objective kObjectives[] = {Objective::mse, Objective::kl, Objective::kl_seed};

// Every Format under both scales, and pairs.
std::vector<Encoding> candidates() {
  std::vector<Encoding> result;
  const Block tensor{BlockKind::tensor, 0};
  for (const Format format : reference::all_formats()) {
    result.push_back({format, std::nullopt, tensor, ScaleKind::e8m0});
    result.push_back({format, std::nullopt, tensor, ScaleKind::ue4m3});
  }
  for (const char* const pair : {"E1M2+E2M1", "E2M3+E4M1", "E1M6+E7M0"})
    result.push_back(parse_encoding(std::string(pair) + "/tensor/ue4m3"));
  return result;
}

TensorMeasurement measure(const Backend& backend, Objective objective, const Weights& weights) {
  return measure_tensor(backend, objective, weights.dtype, weights.bytes, "w");
}

Real scale_of(const Encoding& encoding, const TensorScale& scale) {
  const std::uint32_t byte = encoding.scale == ScaleKind::e8m0 ? scale.byte : scale.byte & 0x7Fu;
  return reference::scale_value(encoding.scale, byte, scale.tensor_scale);
}

void expect_costs(const Backend& backend, const Weights& weights) {
  Statistics statistics(weights.dtype);
  statistics.add(weights.bytes.data(), weights.values.size());
  const std::vector<Encoding> space = candidates();
  const auto count = static_cast<Real>(weights.values.size());
  for (const Objective objective : kObjectives) {
    const TensorMeasurement measurement = measure(backend, objective, weights);
    const auto costs = tensor_block_costs(measurement, space);
    ASSERT_EQ(costs.size(), space.size());
    for (std::size_t c = 0; c < space.size(); ++c) {
      SCOPED_TRACE(std::string(to_string(objective)) + " " + to_string(space[c]));
      const std::optional<TensorScale> chosen = choose_tensor_scale(statistics, space[c]);
      ASSERT_EQ(costs[c].has_value(), chosen.has_value());
      if (!chosen) continue;
      EXPECT_EQ(costs[c]->scale, *chosen);
      EXPECT_EQ(costs[c]->squared_error, chosen->squared_error);
      const Format format = space[c].format_of(chosen->byte);
      const Grid grid(format);
      Real expected = 0;
      if (reference::absmax(weights.values) == 0.0f) {
        expected = 0;
      } else if (objective == Objective::mse) {
        expected = reference::squared_error(weights.values, grid, scale_of(space[c], *chosen));
      } else if (objective == Objective::kl) {
        expected = count * reference::kl_divergence(weights.values, grid, scale_of(space[c], *chosen));
      } else {
        expected =
            count * reference::seed_divergence(weights.values, format.exponent_bits, format.mantissa_bits,
                                               weights.dtype == DType::F32 ? 0x1p-134L : 0);
      }
      const Real tolerance = objective == Objective::mse ? 0 : 1e-14L * count;
      EXPECT_LE(std::fabs(costs[c]->cost - expected), 1e-11L * expected + tolerance) << costs[c]->cost;
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(TensorBlockCosts, EqualQuantizingEachWeight) {
  const auto backend = make_cpu_backend(1);
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes)
    for (const Family family : sample::kFamilies)
      for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{30}, std::uint64_t{601}}) {
        if (sample::kSlow && count > 100) continue;
        SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + to_string(family) + " " + std::to_string(count));
        expect_costs(*backend, sample::make(dtype, family, count, ++seed));
        if (HasFailure()) return;
      }
}

// Weights on, and one ulp beside, every threshold of every Format under the scale of 1, and its values.
TEST(TensorBlockCosts, EqualItAtTiesAndThresholds) {
  const auto backend = make_cpu_backend(1);
  for (const DType dtype : kDTypes)
    for (const Format format : reference::all_formats()) {
      if (dtype == DType::F16 && format.max_value() > 60000.0f) continue;
      const Grid grid(format);
      std::vector<float> values;
      for (std::uint32_t code = 0; code + 1 < grid.size(); ++code)
        for (const Real point : {grid[code], (grid[code] + grid[code + 1]) / 2}) {
          const auto exact = static_cast<float>(point);
          for (const float w : {exact, std::nextafter(exact, 3e38f), std::nextafter(exact, 0.0f)})
            values.insert(values.end(), {w, -w});
        }
      values.push_back(format.max_value());
      const Weights weights = sample::weights_of(dtype, values);
      for (const Objective objective : {Objective::kl, Objective::kl_seed}) {
        const TensorMeasurement measurement = measure(*backend, objective, weights);
        const Real expected =
            objective == Objective::kl
                ? reference::kl_divergence(weights.values, grid, 1)
                : reference::seed_divergence(weights.values, format.exponent_bits, format.mantissa_bits,
                                             dtype == DType::F32 ? 0x1p-134L : 0);
        const double found = objective == Objective::kl
                                 ? measurement.divergence(format, 1.0f)
                                 : measurement.seed_divergence(format.exponent_bits, format.mantissa_bits);
        EXPECT_LE(std::fabs(found - expected), 1e-12L * expected + 1e-15L)
            << dtype_name(dtype) << " " << to_string(format) << " " << to_string(objective) << " " << found;
      }
    }
}

TEST(TensorBlockCosts, OfZerosAndOfNothingAreZero) {
  const auto backend = make_cpu_backend(1);
  for (const DType dtype : kDTypes)
    for (const std::vector<float>& values : {std::vector<float>{}, std::vector<float>{0.0f, -0.0f, 0.0f}})
      for (const Objective objective : kObjectives) {
        const TensorMeasurement measurement = measure(*backend, objective, sample::weights_of(dtype, values));
        EXPECT_EQ(measurement.histogram(), nullptr);
        for (const auto& cost : tensor_block_costs(measurement, candidates())) {
          ASSERT_TRUE(cost);
          EXPECT_EQ(cost->cost, 0.0);
          EXPECT_EQ(cost->squared_error, 0.0);
          EXPECT_EQ(cost->scale, TensorScale{});
        }
      }
}

TEST(TensorBlockCosts, PiecesInAnyOrderAreOneTensor) {
  const std::uint64_t count = 200'000;
  for (const DType dtype : kDTypes)
    for (const Objective objective : kObjectives) {
      const Weights weights = sample::make(dtype, Family::heavy_tails, count, 11);
      const std::size_t width = weights.bytes.size() / count;
      const auto backend = make_cpu_backend(2);
      const auto whole = tensor_block_costs(measure(*backend, objective, weights), candidates());
      const BlockGrid grid({BlockKind::tensor, 0}, 4, {count});
      const std::uint64_t strip = cells_per_strip(grid);
      TensorMeasurement measurement(*backend, objective, dtype);
      int passes = 0;
      for (; measurement.needs_pass(); ++passes)
        for (std::uint64_t s = strip_count(grid, {0, grid.cells()}); s-- > 0;) {
          const CellRange cells{s * strip, std::min(strip, grid.cells() - s * strip)};
          measurement.take(
              {grid, cells, dtype, weights.bytes.data() + grid.weight_begin(cells.first) * width});
        }
      EXPECT_FALSE(measurement.needs_pass());
      // heavy_tails' largest weight and magnitude differ for this seed or not; F32 alone takes more passes.
      EXPECT_EQ(passes == 1, dtype != DType::F32 || objective == Objective::mse);
      const auto pieces = tensor_block_costs(measurement, candidates());
      for (std::size_t c = 0; c < whole.size(); ++c) {
        ASSERT_EQ(whole[c].has_value(), pieces[c].has_value());
        if (!whole[c]) continue;
        EXPECT_EQ(whole[c]->cost, pieces[c]->cost);
        EXPECT_EQ(whole[c]->scale, pieces[c]->scale);
      }
      EXPECT_EQ(measurement.weights(), count);
    }
}

TEST(TensorBlockCosts, TheDivergenceTakesTheRangeOfMagnitudes) {
  // The mirror image has the same kl; kl-seed sees the largest positive weight only.
  const auto backend = make_cpu_backend(1);
  const Weights weights =
      sample::weights_of(DType::F32, std::vector<float>{-1.0f, 0.5f, 0.3f, -0.2f, 0.11f, 0.7f});
  const Weights mirrored =
      sample::weights_of(DType::F32, std::vector<float>{1.0f, -0.5f, -0.3f, 0.2f, -0.11f, -0.7f});
  const Format format{2, 1};
  EXPECT_EQ(measure(*backend, Objective::kl, weights).divergence(format, 0.25f),
            measure(*backend, Objective::kl, mirrored).divergence(format, 0.25f));
  EXPECT_EQ(measure(*backend, Objective::kl, weights).histogram()->limit(), 1.0f);
  EXPECT_EQ(measure(*backend, Objective::kl_seed, weights).histogram()->limit(), 0.7f);
  EXPECT_EQ(measure(*backend, Objective::kl_seed, mirrored).histogram()->limit(), 1.0f);
}

TEST(TensorBlockCosts, RefuseWhatMakesNoSense) {
  const auto backend = make_cpu_backend(1);
  for (const DType dtype : kDTypes) {
    Weights weights = sample::weights_of(dtype, std::vector<float>{1.0f, 2.0f});
    std::memset(weights.bytes.data(), 0xFF, weights.bytes.size() / 2);  // a NaN
    for (const Objective objective : kObjectives)
      expect_error<InputError>(
          [&] { (void)measure(*backend, objective, weights); },
          "tensor 'w': has 1 NaN or infinite value; expected finite weights (a tensor that is "
          "kept may have them)");
  }
  const Weights weights = sample::weights_of(DType::F32, std::vector<float>{1.0f, 2.0f});
  TensorMeasurement measurement = measure(*backend, Objective::mse, weights);
  const std::vector<Encoding> rows = {parse_encoding("E2M1/row")};
  expect_error<UsageError>([&] { (void)tensor_block_costs(measurement, rows); },
                           "the candidate E2M1/row/e8m0 has no tensor block");
  const BlockGrid grid({BlockKind::tensor, 0}, 4, {2});
  expect_error<UsageError>(
      [&] {
        measurement.take({grid, {0, 1}, DType::F32, weights.bytes.data()});
      },
      "a piece of weights was given between the passes of a measurement");
}

}  // namespace
}  // namespace afp
