// The signal-to-quantization-noise ratio that each number of bits reaches on normally distributed weights.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "afp/objective.hpp"
#include "quantized.hpp"

namespace afp {
namespace {

constexpr std::uint64_t kCount = sample::kSlow ? 100'000 : 1'000'000;

class NormalWeights : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::vector<float> values(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) values[i] = static_cast<float>(sample::gaussian(1, i));
    weights = sample::weights_of(DType::F32, values);
  }
  static void TearDownTestSuite() { weights = {}; }

  static double decibels(double signal, double error) { return 10 * std::log10(signal / error); }

  static double block_sqnr(const std::string& encoding) {
    const Tensor tensor{parse_encoding(encoding), {kCount / 1000, 1000}, weights};
    double error = 0.0, signal = 0.0;
    for (const StripSums& strip : quantize(*make_cpu_backend(), tensor, Effort::exact).sums) {
      error += strip.error;
      signal += strip.signal;
    }
    return decibels(signal, error);
  }

  inline static sample::Weights weights{DType::F32, {}, {}};
};

TEST_F(NormalWeights, OneScaleOfTheBestFormat) {
  const struct {
    double goal, tolerance;
  } expected[] = {{6.80, 0.05},  {13.20, 0.05}, {18.96, 0.05}, {24.86, 0.05},
                  {30.82, 0.05}, {36.70, 0.15}, {42.3, 0.5}};
  Statistics statistics(DType::F32);
  statistics.add(weights.bytes.data(), kCount);
  for (int bits = kMinBits; bits <= kMaxBits; ++bits) {
    double least = std::numeric_limits<double>::infinity();
    for (const Format format : formats_of(bits))
      least = std::min(least, choose_tensor_scale(
                                  statistics, {format, std::nullopt, {BlockKind::tensor, 0}, ScaleKind::e8m0})
                                  ->squared_error);
    const double found = decibels(statistics.sum_of_squares(), least);
    RecordProperty("decibels_" + std::to_string(bits), std::to_string(found));
    EXPECT_NEAR(found, expected[bits - 2].goal, expected[bits - 2].tolerance) << bits << " bits";
  }
}

TEST_F(NormalWeights, BlocksOf16ThatChooseTheirFormat) {
  const std::pair<const char*, double> expected[] = {{"E1M1+E2M0/16/ue4m3", 15.7},
                                                     {"E1M2+E2M1/16/ue4m3", 22.55},
                                                     {"E1M3+E2M2/16/ue4m3", 28.8},
                                                     {"E1M4+E2M3/16/ue4m3", 34.85},
                                                     {"E2M1/16/ue4m3", 21.75}};
  for (const auto& [encoding, goal] : expected) {
    const double found = block_sqnr(encoding);
    RecordProperty("decibels_" + std::string(encoding, 4), std::to_string(found));
    EXPECT_GE(found, goal) << encoding;
  }
}

}  // namespace
}  // namespace afp
