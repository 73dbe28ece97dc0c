// The extent of weights by kernels, against one weight after another and against the CPU's vector code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "afp/codec.hpp"
#include "afp/scale.hpp"
#include "cuda_emulator.hpp"
#include "device_array.hpp"
#include "host/cpu/kernels.hpp"
#include "kernels/extent.hpp"
#include "sample.hpp"

namespace afp {
namespace {

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::size_t width_of(DType dtype) {
  return static_cast<std::size_t>(dtype_bits(dtype)) / 8;
}

float weight_at(DType dtype, const std::byte* weights, std::size_t i) {
  if (dtype == DType::F32) {
    float value;
    std::memcpy(&value, weights + 4 * i, 4);
    return value;
  }
  std::uint16_t half;
  std::memcpy(&half, weights + 2 * i, 2);
  return dtype == DType::BF16 ? bf16_to_float(half) : f16_to_float(half);
}

Extent slow_extent(DType dtype, const std::vector<std::byte>& weights) {
  Extent extent;
  for (std::size_t i = 0; i < weights.size() / width_of(dtype); ++i) {
    const float value = weight_at(dtype, weights.data(), i);
    if (!std::isfinite(value)) {
      ++extent.nonfinite;
      continue;
    }
    extent.zeros += value == 0.0f;
    extent.absmax = std::max(extent.absmax, std::fabs(value));
    extent.smallest_magnitude = std::min(extent.smallest_magnitude, std::fabs(value));
    extent.largest = std::max(extent.largest, value);
  }
  return extent;
}

// Weights in device memory, `shift` of them behind a boundary of 16 bytes and with nothing behind them.
class DeviceWeights {
 public:
  DeviceWeights(DType dtype, const std::vector<std::byte>& weights, std::size_t shift)
      : begin_(shift * width_of(dtype)), memory_(shifted(weights, begin_)) {}
  const std::byte* data() const { return memory_.data() + begin_; }

 private:
  static std::vector<std::byte> shifted(const std::vector<std::byte>& weights, std::size_t begin) {
    std::vector<std::byte> result(begin);
    result.insert(result.end(), weights.begin(), weights.end());
    return result;
  }
  std::size_t begin_;
  DeviceArray<std::byte> memory_;
};

void expect_same(const Extent& found, const Extent& expected) {
  ASSERT_EQ(found.absmax, expected.absmax);
  ASSERT_EQ(found.zeros, expected.zeros);
  ASSERT_EQ(found.nonfinite, expected.nonfinite);
  ASSERT_EQ(found.largest, expected.largest);
  ASSERT_EQ(found.smallest_magnitude, expected.smallest_magnitude);
}

Extent kernel_extent(DType dtype, const std::vector<std::byte>& weights, std::size_t shift, int processors) {
  const DeviceWeights on_device(dtype, weights, shift);
  DeviceArray<kernels::RawExtent> result(std::vector<kernels::RawExtent>(1));
  require_success(kernels::extent(
      {dtype, on_device.data(), weights.size() / width_of(dtype), processors, result.data()}, nullptr));
  return kernels::extent_of(result.read()[0]);
}

void expect_extent(DType dtype, const std::vector<std::byte>& weights, std::size_t shift,
                   int processors = 2) {
  const Extent found = kernel_extent(dtype, weights, shift, processors);
  const Extent expected = slow_extent(dtype, weights);
  ASSERT_NO_FATAL_FAILURE(expect_same(found, expected))
      << dtype_name(dtype) << ", " << weights.size() << " bytes, shift " << shift;
  const Extent cpu = cpu::weights_extent(weights.data(), dtype, weights.size() / width_of(dtype));
  ASSERT_NO_FATAL_FAILURE(expect_same(found, cpu));
  // Of zeros alone, the sign: the CPU's depends on their order where non-finite weights are among them.
  if (cpu.nonfinite == 0) {
    ASSERT_EQ(float_bits(found.largest), float_bits(cpu.largest));
  }

  for (const float limit : {0.0f, expected.absmax, expected.absmax / 3, 0x1p-140f, 0x1p-20f, 1.0f,
                            std::numeric_limits<float>::max()}) {
    unsigned long long within = 7;
    for (std::size_t i = 0; i < weights.size() / width_of(dtype); ++i)
      within += std::fabs(weight_at(dtype, weights.data(), i)) <= limit;
    const DeviceWeights on_device(dtype, weights, shift);
    DeviceArray<unsigned long long> result(std::vector<unsigned long long>{7});
    require_success(kernels::count_within(
        {dtype, on_device.data(), weights.size() / width_of(dtype), limit, processors, result.data()},
        nullptr));
    ASSERT_EQ(result.read()[0], within) << dtype_name(dtype) << ", limit " << limit;
  }
}

std::vector<std::byte> of_values(DType dtype, const std::vector<float>& values) {
  return sample::weights_of(dtype, values).bytes;
}

std::vector<std::byte> of_bits(DType dtype, const std::vector<std::uint32_t>& patterns) {
  std::vector<std::byte> bytes(patterns.size() * width_of(dtype));
  for (std::size_t i = 0; i < patterns.size(); ++i)
    std::memcpy(bytes.data() + i * width_of(dtype), &patterns[i], width_of(dtype));
  return bytes;
}

TEST(ExtentKernel, EveryFamilyAtEveryPlace) {
  for (const DType dtype : kDTypes)
    for (const sample::Family family : sample::kFamilies)
      for (const std::size_t count : {1u, 2u, 7u, 8u, 9u, 31u, 1'000u, 20'011u})
        expect_extent(dtype, sample::make(dtype, family, count, count).bytes, (count + 3) % 8);
}

TEST(ExtentKernel, EveryPattern) {
  for (const DType dtype : {DType::BF16, DType::F16}) {
    std::vector<std::uint32_t> all(0x10000), finite;
    for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    for (const std::uint32_t bits : all)
      if (std::isfinite(dtype == DType::BF16 ? bf16_to_float(static_cast<std::uint16_t>(bits))
                                             : f16_to_float(static_cast<std::uint16_t>(bits))))
        finite.push_back(bits);
    expect_extent(dtype, of_bits(dtype, all), 0);
    expect_extent(dtype, of_bits(dtype, finite), 3);
  }
}

TEST(ExtentKernel, OneKindOnly) {
  for (const DType dtype : kDTypes)
    for (const std::size_t count : {1u, 8u, 100u, 5'000u})
      for (const std::size_t shift : {0u, 1u, 5u}) {
        const auto all = [&](float value) { return of_values(dtype, std::vector<float>(count, value)); };
        for (const float value : {0.0f, -0.0f, 1.5f, -1.5f, 0x1p-24f, -0x1p-24f})
          expect_extent(dtype, all(value), shift);
        const std::uint32_t infinity = dtype == DType::F32    ? 0x7F800000u
                                       : dtype == DType::BF16 ? 0x7F80u
                                                              : 0x7C00u;
        const std::uint32_t sign = dtype == DType::F32 ? 0x80000000u : 0x8000u;
        for (const std::uint32_t bits : {infinity, infinity | sign, infinity + 1, sign | (sign - 1)})
          expect_extent(dtype, of_bits(dtype, std::vector<std::uint32_t>(count, bits)), shift);
      }
}

// One weight unlike all others, at any place of a vector and around it.
TEST(ExtentKernel, OneAmongMany) {
  for (const DType dtype : kDTypes) {
    const std::uint32_t infinity = dtype == DType::F32    ? 0x7F800000u
                                   : dtype == DType::BF16 ? 0x7F80u
                                                          : 0x7C00u;
    const std::uint32_t sign = dtype == DType::F32 ? 0x80000000u : 0x8000u, one = infinity / 2;
    for (const std::uint32_t odd : {infinity, sign | infinity, infinity + 1, infinity - 1,
                                    sign | (infinity - 1), 0u, sign, 1u, sign | 1u})
      for (const std::uint32_t others : {one, sign | one, sign})
        for (std::size_t place = 0; place < 12; place += sample::kSlow ? 5 : 1) {
          std::vector<std::uint32_t> patterns(12, others);
          patterns[place] = odd;
          expect_extent(dtype, of_bits(dtype, patterns), place % 4);
        }
  }
}

TEST(ExtentKernel, NothingBeginsAndStaysEmpty) {
  const Extent nothing = kernels::extent_of({});
  expect_same(nothing, Extent{});
  for (const DType dtype : kDTypes) expect_extent(dtype, {}, 0);
}

TEST(ExtentKernel, AddsToWhatIsThere) {
  for (const DType dtype : kDTypes) {
    const std::vector<std::byte> first = of_values(dtype, {-3.0f, 0.0f, -0.5f}),
                                 second = of_values(dtype, {-2.0f, 0.0f, 0.25f, 0.0f});
    const DeviceWeights first_weights(dtype, first, 0), second_weights(dtype, second, 0);
    DeviceArray<kernels::RawExtent> result(std::vector<kernels::RawExtent>(1));
    require_success(kernels::extent({dtype, first_weights.data(), 3, 1, result.data()}, nullptr));
    require_success(kernels::extent({dtype, second_weights.data(), 4, 1, result.data()}, nullptr));
    Extent expected = slow_extent(dtype, first);
    expected.merge(slow_extent(dtype, second));
    expect_same(kernels::extent_of(result.read()[0]), expected);
  }
}

TEST(ExtentKernel, AnyOrderOfThreads) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cuda_emulator::config().seed = seed;
    for (const DType dtype : kDTypes)
      expect_extent(dtype, sample::make(dtype, sample::Family::special, 30'000, seed).bytes, seed);
  }
  cuda_emulator::config().seed = 0;
}

TEST(ExtentKernel, IntegersOrderLikeWeights) {
  float before = -kInfinity;
  for (const float value :
       {-0x1.fffffep127f, -1.0f, -0x1p-149f, -0.0f, 0.0f, 0x1p-149f, 1.0f, 0x1.fffffep127f, kInfinity}) {
    EXPECT_LT(kernels::ordered_of(float_bits(before)), kernels::ordered_of(float_bits(value)));
    EXPECT_EQ(kernels::bits_of_ordered(kernels::ordered_of(float_bits(value))), float_bits(value));
    before = value;
  }
}

TEST(ExtentKernel, TensorScale) {
  for (const float absmax : {0.0f, 1.0f, 0.02f, 0x1p-149f, 3e38f}) {
    kernels::RawExtent raw;
    raw.absmax = float_bits(absmax);
    const DeviceArray<kernels::RawExtent> extent(std::vector{raw});
    DeviceArray<float> scale(1);
    require_success(kernels::tensor_scale({extent.data(), 6.0f, scale.data()}, nullptr));
    EXPECT_EQ(scale.read()[0], ue4m3_tensor_scale(6.0f, absmax)) << absmax;
  }
}

TEST(ExtentKernel, RefusesOtherTypes) {
  EXPECT_EQ(kernels::extent({DType::F64, nullptr, 1, 1, nullptr}, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(kernels::count_within({DType::I8, nullptr, 1, 1.0f, 1, nullptr}, nullptr), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace afp
