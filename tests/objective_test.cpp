// The mse objective from Statistics against really quantizing every weight.
#include "afp/objective.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "afp/codec.hpp"
#include "afp/scale.hpp"
#include "reference.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using reference::Grid;
using reference::Real;
using sample::Family;
using sample::Weights;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

Statistics gather(const Weights& weights) {
  Statistics statistics(weights.dtype);
  statistics.add(weights.bytes.data(), weights.values.size());
  return statistics;
}

// Weights on, and one ulp beside, the thresholds and values of a Format under a scale.
Weights around_thresholds(DType dtype, Format format, Real scale) {
  const Grid grid(format);
  std::vector<float> values;
  for (std::uint32_t code = 0; code + 1 < grid.size(); ++code)
    for (const Real point : {grid[code] * scale, (grid[code] + grid[code + 1]) / 2 * scale}) {
      const auto exact = static_cast<float>(point);
      for (const float w : {exact, std::nextafter(exact, 3e38f), std::nextafter(exact, 0.0f)})
        if (std::isfinite(w)) values.insert(values.end(), {w, -w});
    }
  return sample::weights_of(dtype, values);
}

void expect_equal(double found, Real expected, Real signal, const std::string& what) {
  // Weights that all lie on values cost nothing: the tolerance there is that of the sums themselves.
  EXPECT_LE(std::fabs(found - expected), 1e-12L * expected + 1e-30L * signal) << what << ": " << found;
}

TEST(SquaredError, EqualsQuantizingEachWeight) {
  for (const DType dtype : kDTypes)
    for (const Family family : sample::kFamilies) {
      const Weights weights = sample::make(dtype, family, sample::kSlow ? 300 : 1'500, 3);
      const Statistics statistics = gather(weights);
      const Real signal = reference::sum_of_squares(weights.values);
      for (const Format format : reference::all_formats()) {
        const Grid grid(format);
        const int first = e8m0_first_exponent(format, statistics.absmax());
        for (int x = std::max(first - 6, min_scale_exponent(format));
             x <= std::min(first + 3, max_scale_exponent(format)); ++x)
          expect_equal(squared_error(statistics, format, std::ldexp(1.0f, x)),
                       reference::squared_error(weights.values, grid, std::ldexp(Real{1}, x)), signal,
                       std::string(dtype_name(dtype)) + " " + to_string(family) + " " + to_string(format) +
                           " 2^" + std::to_string(x));
      }
    }
}

TEST(SquaredError, EqualsItAtTiesAndThresholds) {
  for (const DType dtype : kDTypes)
    for (const Format format : reference::all_formats())
      for (const int x : {min_scale_exponent(format), -9, 0, max_scale_exponent(format)}) {
        if (dtype == DType::F16 && (x < -9 || x > 9)) continue;
        const Weights weights = around_thresholds(dtype, format, std::ldexp(Real{1}, x));
        expect_equal(squared_error(gather(weights), format, std::ldexp(1.0f, x)),
                     reference::squared_error(weights.values, Grid(format), std::ldexp(Real{1}, x)),
                     reference::sum_of_squares(weights.values),
                     std::string(dtype_name(dtype)) + " " + to_string(format) + " 2^" + std::to_string(x));
      }
}

TEST(SquaredError, OfSixteenBitWeightsTakesAnyScale) {
  for (const DType dtype : {DType::BF16, DType::F16}) {
    const Weights weights = sample::make(dtype, Family::gaussian, 1'000, 4);
    const Statistics statistics = gather(weights);
    for (const Format format : reference::all_formats())
      for (std::uint32_t byte = 1; byte <= kUe4m3Max; byte += 5)
        expect_equal(squared_error(statistics, format, ue4m3_value(byte) * 0x1p-8f),
                     reference::squared_error(weights.values, Grid(format),
                                              reference::scale_value(ScaleKind::ue4m3, byte, 0x1p-8f)),
                     reference::sum_of_squares(weights.values),
                     to_string(format) + " byte " + std::to_string(byte));
  }
}

TEST(ChooseTensorScale, IsTheBestOfAllScales) {
  std::vector<Encoding> encodings;
  const Block tensor{BlockKind::tensor, 0};
  for (const Format format : reference::all_formats()) {
    encodings.push_back({format, std::nullopt, tensor, ScaleKind::e8m0});
    encodings.push_back({format, std::nullopt, tensor, ScaleKind::ue4m3});
  }
  for (const char* const pair : {"E1M1+E2M0", "E1M2+E2M1", "E3M0+E1M2", "E2M3+E4M1", "E1M6+E7M0"})
    encodings.push_back(parse_encoding(std::string(pair) + "/tensor/ue4m3"));

  for (const DType dtype : kDTypes)
    for (const Family family : sample::kFamilies) {
      const Weights weights = sample::make(dtype, family, sample::kSlow ? 60 : 300, 5);
      const Statistics statistics = gather(weights);
      for (const Encoding& encoding : encodings) {
        SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + to_string(family) + " " + to_string(encoding));
        const std::optional<TensorScale> found = choose_tensor_scale(statistics, encoding);
        const bool decided = encoding.scale == ScaleKind::e8m0 || dtype != DType::F32;
        ASSERT_EQ(found.has_value(), decided);
        if (!found) continue;
        float smallest_max = encoding.format.max_value();
        if (encoding.alternative) smallest_max = std::min(smallest_max, encoding.alternative->max_value());
        const float tensor_scale =
            encoding.scale == ScaleKind::e8m0 ? 1.0f : ue4m3_tensor_scale(smallest_max, statistics.absmax());
        EXPECT_EQ(found->tensor_scale, tensor_scale);
        const reference::ScaleSearch search(encoding, tensor_scale);
        const auto best = search.best(weights.values);
        if (best.runner_up > best.error * (1 + 1e-12L)) {
          ASSERT_EQ(int{found->byte}, int{best.byte})
              << "errors " << found->squared_error << " and " << best.error;
        }
        EXPECT_LE(std::fabs(found->squared_error - best.error), 1e-12L * best.error);
        EXPECT_GE(best.beyond, best.error * (1 - 1e-6L));  // nothing from 2 s0 on is better
      }
    }
}

TEST(ChooseTensorScale, OfZerosIsByteZero) {
  for (const DType dtype : kDTypes) {
    const Statistics zeros = gather(sample::weights_of(dtype, std::vector<float>{0.0f, -0.0f, 0.0f}));
    for (const Statistics& statistics : {zeros, Statistics(dtype)}) {
      const auto found = choose_tensor_scale(statistics, parse_encoding("E2M1/tensor"));
      ASSERT_TRUE(found);
      EXPECT_EQ(found->byte, 0);
      EXPECT_EQ(found->tensor_scale, 1.0f);
      EXPECT_EQ(found->squared_error, 0.0);
    }
  }
}

}  // namespace
}  // namespace afp
