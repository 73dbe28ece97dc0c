// One tensor in memory: every block kind and scale kind against the reference error of what was decoded.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "afp/quantize.hpp"
#include "expect_error.hpp"
#include "sample.hpp"

namespace afp {
namespace {

long double error_of(const sample::Weights& weights, const std::vector<std::byte>& decoded) {
  long double error = 0;
  for (std::size_t i = 0; i < weights.values.size(); ++i) {
    float value;
    std::memcpy(&value, decoded.data() + 4 * i, sizeof value);
    const long double d = static_cast<long double>(weights.values[i]) - value;
    error += d * d;
  }
  return error;
}

PackedTensor quantize_with(const Backend& backend, const sample::Weights& weights, const Shape& shape,
                           const std::vector<std::string>& encodings) {
  std::vector<Encoding> candidates;
  for (const std::string& text : encodings) candidates.push_back(parse_encoding(text));
  return quantize_tensor(backend, {"w", weights.dtype, shape}, weights.bytes, candidates);
}

class QuantizeTensor : public testing::TestWithParam<std::tuple<std::string, DType>> {};

TEST_P(QuantizeTensor, ReportsTheErrorOfWhatItDecodesTo) {
  const auto& [encoding, dtype] = GetParam();
  const auto backend = make_cpu_backend(2);
  const Shape shape{37, 5, 53};
  const sample::Weights weights = sample::make(dtype, sample::Family::heavy_tails, element_count(shape), 7);
  const PackedTensor packed = quantize_with(*backend, weights, shape, {encoding});
  const long double error = error_of(weights, dequantize_tensor(*backend, packed, DType::F32));
  EXPECT_NEAR(packed.squared_error / static_cast<double>(error), 1.0, 1e-5);
  EXPECT_EQ(to_string(packed.encoding), to_string(parse_encoding(encoding)));
  EXPECT_EQ(packed.codes.size() + packed.scales.size() + (packed.encoding.scale == ScaleKind::ue4m3 ? 4 : 0),
            packed_size(packed.encoding, shape));
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeTensor,
                         testing::Combine(testing::Values("E2M1/tensor", "E4M3/tensor", "E2M1/tensor/ue4m3",
                                                          "E1M2+E2M1/tensor/ue4m3", "E3M2/row",
                                                          "E1M2+E2M1/row/ue4m3", "E1M2+E2M1/16",
                                                          "E2M3/32/e8m0", "E1M0/64", "E1M6+E2M5/128"),
                                          testing::Values(DType::BF16, DType::F16, DType::F32)));

// The scale of a tensor block of F32 weights under ue4m3 is found by scoring, that of BF16 weights from their
// Statistics: with weights that both can hold they must agree.
TEST(QuantizeTensorTest, BothWaysToTheScaleOfATensorBlockAgree) {
  const auto backend = make_cpu_backend(2);
  const Shape shape{300, 401};
  const sample::Weights half = sample::make(DType::BF16, sample::Family::gaussian, element_count(shape), 3);
  const sample::Weights wide = sample::weights_of(DType::F32, half.values);
  for (const char* encoding :
       {"E2M1/tensor/ue4m3", "E1M2+E2M1/tensor/ue4m3", "E2M1/tensor/e8m0", "E1M0/tensor/ue4m3"}) {
    const PackedTensor a = quantize_with(*backend, half, shape, {encoding});
    const PackedTensor b = quantize_with(*backend, wide, shape, {encoding});
    EXPECT_EQ(a.scales, b.scales) << encoding;
    EXPECT_EQ(a.codes, b.codes) << encoding;
  }
}

TEST(QuantizeTensorTest, ChoosesTheCandidateOfLeastError) {
  const auto backend = make_cpu_backend(1);
  const Shape shape{64, 96};
  const sample::Weights weights =
      sample::make(DType::F32, sample::Family::heavy_tails, element_count(shape), 5);
  for (const char* block : {"tensor/e8m0", "row/e8m0", "32/e8m0"}) {
    double least = std::numeric_limits<double>::infinity();
    std::string best;
    std::vector<std::string> all;
    for (const Format format : formats_of(5)) {
      all.push_back(to_string(format) + "/" + block);
      const double error = quantize_with(*backend, weights, shape, {all.back()}).squared_error;
      if (error < least) {
        least = error;
        best = all.back();
      }
    }
    const PackedTensor chosen = quantize_with(*backend, weights, shape, all);
    EXPECT_EQ(to_string(chosen.encoding), best);
    EXPECT_EQ(chosen.squared_error, least);
  }
}

TEST(QuantizeTensorTest, RoundsF64ToF32First) {
  const auto backend = make_cpu_backend(1);
  const Shape shape{8, 40};
  const sample::Weights weights = sample::make(DType::F32, sample::Family::gaussian, element_count(shape), 9);
  std::vector<std::byte> doubles(weights.values.size() * 8);
  for (std::size_t i = 0; i < weights.values.size(); ++i) {
    // Closer to this float32 than to its neighbours.
    const double wide = weights.values[i] * (1.0 + 1e-9);
    std::memcpy(doubles.data() + 8 * i, &wide, 8);
  }
  const Encoding encoding = parse_encoding("E2M1/16");
  const PackedTensor a = quantize_tensor(*backend, {"w", DType::F64, shape}, doubles, {{encoding}});
  const PackedTensor b = quantize_tensor(*backend, {"w", DType::F32, shape}, weights.bytes, {{encoding}});
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.source.dtype, DType::F64);
}

TEST(QuantizeTensorTest, RefusesNonfiniteWeightsWithTheirNumber) {
  const auto backend = make_cpu_backend(1);
  std::vector<float> values(4096, 0.5f);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  values[4000] = -std::numeric_limits<float>::infinity();
  const sample::Weights weights = sample::weights_of(DType::F32, values);
  for (const char* encoding : {"E2M1/16", "E2M1/32/e8m0", "E2M1/row", "E2M1/tensor", "E2M1/tensor/ue4m3"})
    expect_error<InputError>(
        [&] {
          quantize_with(*backend, weights, {64, 64}, {encoding});
        },
        "tensor 'w': has 2 NaN or infinite values; expected finite weights (a tensor that is kept "
        "may have them)");
  expect_error<InputError>(
      [&] {
        quantize_with(*backend, weights, {64, 64}, {"E2M1/row", "E1M2/row"});
      },
      "tensor 'w': has 2 NaN or infinite values; expected finite weights (a tensor that is kept "
      "may have them)");
}

TEST(QuantizeTensorTest, TakesEmptyTensorsAndZeros) {
  const auto backend = make_cpu_backend(1);
  for (const char* encoding : {"E2M1/16", "E2M1/row", "E2M1/tensor", "E2M1/tensor/ue4m3"}) {
    for (const Shape& shape : {Shape{0, 16}, Shape{16, 0}, Shape{0}}) {
      const PackedTensor packed =
          quantize_tensor(*backend, {"w", DType::F32, shape}, {}, {{parse_encoding(encoding)}});
      EXPECT_TRUE(packed.codes.empty());
      EXPECT_TRUE(dequantize_tensor(*backend, packed, DType::F32).empty());
    }
    const std::vector<std::byte> zeros(4 * 5 * 7);
    const PackedTensor packed =
        quantize_tensor(*backend, {"w", DType::F32, {5, 7}}, zeros, {{parse_encoding(encoding)}});
    EXPECT_EQ(packed.squared_error, 0.0);
    for (const std::uint8_t byte : packed.scales) EXPECT_EQ(byte, 0);
    EXPECT_EQ(dequantize_tensor(*backend, packed, DType::F32), zeros);
  }
}

TEST(QuantizeTensorTest, RefusesWhatDoesNotFit) {
  const auto backend = make_cpu_backend(1);
  const std::vector<std::byte> bytes(12);
  const Encoding a = parse_encoding("E2M1/16"), b = parse_encoding("E2M1/32"), c = parse_encoding("E2M2/16");
  expect_error<InputError>(
      [&] {
        quantize_tensor(*backend, {"w", DType::F32, {2, 2}}, bytes, {{a}});
      },
      "tensor 'w': its data has 12 bytes; expected 16 for F32 [2, 2]");
  expect_error<InputError>(
      [&] {
        quantize_tensor(*backend, {"w", DType::I32, {3}}, bytes, {{a}});
      },
      "tensor 'w': its dtype is I32; expected BF16, F16, F32 or F64");
  expect_error<UsageError>(
      [&] {
        quantize_tensor(*backend, {"w", DType::F32, {3}}, bytes, {});
      },
      "no Encoding was given for tensor 'w'");
  for (const Encoding& other : {b, c})
    EXPECT_THROW(quantize_tensor(*backend, {"w", DType::F32, {3}}, bytes, std::vector{a, other}), UsageError);
  PackedTensor packed = quantize_tensor(*backend, {"w", DType::F32, {3}}, bytes, {{a}});
  packed.codes.pop_back();
  expect_error<InputError>([&] { dequantize_tensor(*backend, packed, DType::F32); },
                           "tensor 'w': its codes and scales have 7 and 1 bytes; expected 8 and 1");
}

}  // namespace
}  // namespace afp
