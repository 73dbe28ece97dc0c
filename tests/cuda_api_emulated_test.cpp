// afp/cuda.hpp: the engine on tensors in device memory gives what the CPU backend gives, on an emulated
// device.
#include <gtest/gtest.h>

#include <cuda_emulator.hpp>

#include "afp/cuda.hpp"
#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "device_array.hpp"
#include "expect_error.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using sample::Family;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

class CudaApiTest : public testing::Test {
 protected:
  CudaApiTest() {
    cuda_emulator::config() = {.seed = 3};
    cuda_emulator::reset();
    require_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  ~CudaApiTest() override {
    require_success(cudaStreamDestroy(stream_));
    EXPECT_EQ(cuda_emulator::leaks(), "");
    cuda_emulator::config() = {};
    cuda_emulator::reset();
  }

  cudaStream_t stream_ = nullptr;
};

TEST_F(CudaApiTest, QuantizesAndDequantizesLikeABackend) {
  const auto cpu = make_cpu_backend(1);
  std::uint64_t seed = 0;
  for (const char* const text : {"E2M1/32/e8m0", "E1M2+E2M1/16/ue4m3", "E2M2/64/ue4m3", "E1M5/128/e8m0",
                                 "E3M2/row", "E1M2+E2M1/row/ue4m3", "E2M1/tensor", "E1M3+E2M2/tensor/ue4m3"})
    for (const DType dtype : kDTypes)
      for (const Shape& shape : {Shape{3, 200}, Shape{70, 33}, Shape{2, 1000}, Shape{0, 5}}) {
        SCOPED_TRACE(std::string(text) + " " + std::string(dtype_name(dtype)) + " " + to_string(shape));
        const Encoding encoding = parse_encoding(text);
        if (encoding.block.kind == BlockKind::tensor && dtype == DType::F32 &&
            encoding.scale == ScaleKind::ue4m3)
          continue;
        const cuda::Context context(0);
        const sample::Weights weights =
            sample::make(dtype, Family::heavy_tails, element_count(shape), ++seed);
        const TensorInfo info{"weight", dtype, shape};
        const PackedTensor expected = quantize_tensor(*cpu, info, weights.bytes, {{encoding}});

        DeviceArray<std::byte> source(weights.bytes);
        DeviceArray<std::uint8_t> codes(expected.codes.size()), scales(expected.scales.size());
        DeviceArray<float> tensor_scale(1);
        DeviceArray<std::uint64_t> nonfinite(1);
        const cuda::Weights given{source.data(), dtype, shape};
        DeviceArray<std::byte> workspace(context.quantize_workspace(given, encoding));
        const cuda::Packed packed{codes.data(), scales.data(), tensor_scale.data()};
        context.quantize(given, encoding, Effort::exact, packed, workspace.data(), stream_, nonfinite.data());
        EXPECT_EQ(codes.read(), expected.codes);
        EXPECT_EQ(scales.read(), expected.scales);
        EXPECT_EQ(nonfinite.read()[0], 0u);
        if (encoding.scale == ScaleKind::ue4m3 && !expected.codes.empty()) {
          EXPECT_EQ(tensor_scale.read()[0], expected.tensor_scale);
        }

        DeviceArray<std::byte> restored(weights.bytes.size());
        context.dequantize(packed, encoding, shape, dtype, restored.data(), stream_);
        EXPECT_EQ(restored.read(), dequantize_tensor(*cpu, expected, dtype));
      }
}

TEST_F(CudaApiTest, CountsWeightsThatAreNotFinite) {
  std::vector<float> values(1000, 0.5f);
  values[7] = -std::numeric_limits<float>::infinity();
  values[900] = std::numeric_limits<float>::quiet_NaN();
  DeviceArray<float> source(values);
  const cuda::Context context(0);
  const cuda::Weights given{source.data(), DType::F32, {10, 100}};
  for (const char* const text : {"E2M1/32/e8m0", "E1M2+E2M1/16/ue4m3", "E3M2/row", "E2M1/tensor"}) {
    const Encoding encoding = parse_encoding(text);
    const BlockGrid grid(encoding.block, encoding.bits(), given.shape);
    DeviceArray<std::uint8_t> codes(grid.code_bytes()), scales(grid.scale_count());
    DeviceArray<float> tensor_scale(1);
    DeviceArray<std::uint64_t> nonfinite(1);
    DeviceArray<std::byte> workspace(context.quantize_workspace(given, encoding));
    context.quantize(given, encoding, Effort::exact, {codes.data(), scales.data(), tensor_scale.data()},
                     workspace.data(), stream_, nonfinite.data());
    EXPECT_EQ(nonfinite.read()[0], 2u) << text;
  }
}

TEST_F(CudaApiTest, ASetOfTensorsHasTheStatisticsAndCostsOfEach) {
  const auto cpu = make_cpu_backend(1);
  const cuda::Context context(0);
  std::vector<Encoding> candidates;
  for (const char* const text : {"E2M1/tensor", "E1M2/tensor", "E3M4/tensor", "E1M2+E2M1/tensor/ue4m3"})
    candidates.push_back(parse_encoding(text));
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes) {
    std::vector<sample::Weights> tensors;
    std::vector<std::unique_ptr<DeviceArray<std::byte>>> arrays;
    std::vector<cuda::Weights> given;
    for (const Family family : sample::kFamilies) {
      tensors.push_back(sample::make(dtype, family, 700 + 100 * seed, seed));
      ++seed;
      arrays.push_back(std::make_unique<DeviceArray<std::byte>>(tensors.back().bytes));
      given.push_back({arrays.back()->data(), dtype, {tensors.back().values.size()}});
    }
    const cuda::TensorSet set(context, given, stream_);
    const std::vector<Statistics> statistics = set.statistics();
    for (const Objective objective : {Objective::mse, Objective::kl, Objective::kl_seed}) {
      const cuda::TensorSetCosts found = set.costs(objective, candidates);
      ASSERT_EQ(found.costs.size(), tensors.size() * candidates.size());
      for (std::size_t t = 0; t < tensors.size(); ++t) {
        const TensorMeasurement measured = measure_tensor(*cpu, objective, dtype, tensors[t].bytes);
        EXPECT_TRUE(statistics[t] == measured.statistics()) << dtype_name(dtype) << " " << t;
        const auto expected = tensor_block_costs(measured, candidates);
        std::size_t best = 0;
        for (std::size_t c = 0; c < candidates.size(); ++c) {
          const auto& cost = found.costs[t * candidates.size() + c];
          ASSERT_EQ(cost.has_value(), expected[c].has_value()) << dtype_name(dtype) << " " << t << " " << c;
          if (!cost) continue;
          EXPECT_EQ(cost->cost, expected[c]->cost) << to_string(objective) << " " << t << " " << c;
          EXPECT_EQ(cost->squared_error, expected[c]->squared_error);
          EXPECT_TRUE(cost->scale == expected[c]->scale);
          if (cost->cost < expected[best]->cost) best = c;
        }
        EXPECT_EQ(found.best[t], best) << to_string(objective) << " " << t;
      }
    }
  }
}

TEST_F(CudaApiTest, RefusesWhatMakesNoSense) {
  const cuda::Context context(0);
  expect_error<UsageError>([] { cuda::Context missing(5); }, "5", Message::part);
  const cuda::Weights f32{nullptr, DType::F32, {4, 4}};
  expect_error<UsageError>(
      [&] {
        context.quantize(f32, parse_encoding("E2M1/tensor/ue4m3"), Effort::exact, {}, nullptr, stream_);
      },
      "the scale of a tensor block of F32 weights under ue4m3 cannot be chosen on the device; expected BF16 "
      "or F16 "
      "weights, e8m0, or smaller blocks");
  const cuda::Weights f64{nullptr, DType::F64, {4, 4}};
  expect_error<UsageError>(
      [&] { context.quantize(f64, parse_encoding("E2M1/32"), Effort::exact, {}, nullptr, stream_); },
      "weights on a device are BF16, F16 or F32, found F64");
  DeviceArray<std::byte> place(4096);
  const cuda::Weights bf16{place.data(), DType::BF16, {4, 16}};
  const cuda::Packed whole{reinterpret_cast<std::uint8_t*>(place.data()),
                           reinterpret_cast<std::uint8_t*>(place.data()),
                           reinterpret_cast<float*>(place.data())};
  const auto refused = [&](const cuda::Weights& given, const cuda::Packed& packed, void* workspace,
                           const std::string& message) {
    expect_error<UsageError>(
        [&] {
          context.quantize(given, parse_encoding("E2M1/16"), Effort::exact, packed, workspace, stream_);
        },
        message);
  };
  refused({place.data() + 1, DType::BF16, {4, 16}}, whole, place.data(),
          "weights are not aligned; expected device memory aligned to 2 bytes");
  refused(bf16, {whole.codes + 8, whole.scales, whole.tensor_scale}, place.data(),
          "codes are not aligned; expected device memory aligned to 16 bytes");
  refused(bf16, {whole.codes, nullptr, whole.tensor_scale}, place.data(),
          "scales are at a null pointer; expected device memory aligned to 1 byte");
  refused(bf16, {whole.codes, whole.scales, nullptr}, place.data(),
          "the bytes of the tensor's scale are at a null pointer; expected device memory aligned to 4 bytes");
  refused(bf16, whole, nullptr,
          "the bytes of the workspace are at a null pointer; expected device memory aligned to 16 bytes");
  expect_error<UsageError>(
      [&] {
        context.dequantize({whole.codes, whole.scales, nullptr}, parse_encoding("E2M1/16"), {4, 16},
                           DType::F32, place.data(), stream_);
      },
      "the bytes of the tensor's scale are at a null pointer; expected device memory aligned to 4 bytes");
  const std::vector<cuda::Weights> odd = {{place.data() + 1, DType::BF16, {16}}};
  expect_error<UsageError>([&] { cuda::TensorSet set(context, odd, stream_); },
                           "weights of a set of tensors are not at device memory aligned to 2 bytes");
  expect_error<UsageError>([&] { cuda::TensorSet set(context, {}, stream_); },
                           "a set of tensors is empty; expected one at least");
  DeviceArray<std::byte> memory(64);
  const std::vector<cuda::Weights> mixed = {{memory.data(), DType::F32, {16}},
                                            {memory.data(), DType::BF16, {16}}};
  expect_error<UsageError>([&] { cuda::TensorSet set(context, mixed, stream_); },
                           "a set of tensors holds F32 and BF16 weights; expected one type");
  const std::vector<cuda::Weights> one = {{memory.data(), DType::BF16, {16}}};
  const cuda::TensorSet set(context, one, stream_);
  expect_error<UsageError>([&] { (void)set.costs(Objective::mse, {{parse_encoding("E2M1/32")}}); },
                           "the candidate E2M1/32/ue4m3 has no tensor block");
  expect_error<UsageError>([&] { (void)set.costs(Objective::mse, {}); }, "no candidate was given");
  expect_error<InputError>([&] { (void)set.costs(Objective::mse, {{parse_encoding("E2M1/tensor")}}); },
                           "tensor 'tensor 0 of the set': has 16 NaN or infinite values", Message::part);
}

}  // namespace
}  // namespace afp
