// Linear histograms counted by kernels against LinearHistogram's own definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "afp/linear_histogram.hpp"
#include "cuda_emulator.hpp"
#include "device_array.hpp"
#include "kernels/linear_histogram.hpp"
#include "sample.hpp"

namespace afp {
namespace {

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

std::size_t width_of(DType dtype) {
  return static_cast<std::size_t>(dtype_bits(dtype)) / 8;
}

struct Tensor {
  std::vector<std::byte> weights;
  float limit;
  std::uint64_t bins;
  std::size_t shift = 0;  // weights, behind a boundary of 16 bytes
};

void expect_histograms(DType dtype, const std::vector<Tensor>& tensors, int multiprocessors) {
  const std::size_t width = width_of(dtype);
  std::vector<std::unique_ptr<DeviceArray<std::byte>>> memory;
  std::vector<std::unique_ptr<DeviceArray<float>>> edges;
  std::vector<std::unique_ptr<DeviceArray<unsigned long long>>> counts;
  std::vector<kernels::HistogramTensor> on_device;
  std::vector<LinearHistogram> expected;
  std::vector<std::uint64_t> first_chunk = {0};
  std::uint32_t most_bins = 0;
  for (const Tensor& tensor : tensors) {
    LinearHistogram& histogram = expected.emplace_back(tensor.limit, tensor.bins);
    const std::uint64_t count = tensor.weights.size() / width;
    histogram.add(dtype, tensor.weights.data(), count);
    std::vector<std::byte> shifted(tensor.shift * width);
    shifted.insert(shifted.end(), tensor.weights.begin(), tensor.weights.end());
    memory.push_back(std::make_unique<DeviceArray<std::byte>>(shifted));
    edges.push_back(std::make_unique<DeviceArray<float>>(histogram.edges()));
    // Counts are added to what is there.
    counts.push_back(std::make_unique<DeviceArray<unsigned long long>>(
        std::vector<unsigned long long>(tensor.bins, 1ull << 33)));
    const auto bins = static_cast<std::uint32_t>(tensor.bins);
    on_device.push_back({memory.back()->data() + tensor.shift * width, count, edges.back()->data(), bins,
                         histogram.per_bin(), counts.back()->data()});
    first_chunk.push_back(first_chunk.back() +
                          (count + kernels::kHistogramChunk - 1) / kernels::kHistogramChunk);
    most_bins = std::max(most_bins, bins);
  }
  const DeviceArray<kernels::HistogramTensor> list(on_device);
  const DeviceArray<std::uint64_t> chunks(first_chunk);
  require_success(kernels::linear_histogram({dtype,
                                             list.data(),
                                             {chunks.data(), static_cast<std::uint32_t>(tensors.size())},
                                             first_chunk.back(),
                                             most_bins,
                                             multiprocessors},
                                            nullptr));
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const std::vector<unsigned long long> found = counts[t]->read();
    for (std::size_t bin = 0; bin < found.size(); ++bin)
      ASSERT_EQ(found[bin] - (1ull << 33), expected[t].counts()[bin])
          << dtype_name(dtype) << ", tensor " << t << ", bin " << bin << " of " << found.size();
  }
}

// Every edge with its neighbours on both sides, of either sign; and what is not counted.
std::vector<float> around_edges(const LinearHistogram& histogram, std::size_t most) {
  std::vector<float> values = {std::nanf(""), std::numeric_limits<float>::infinity(), -0.0f};
  const std::size_t step = histogram.bins() / most + 1;
  for (std::size_t i = 0; i <= histogram.bins(); i += step) {
    const float edge = histogram.edges()[i];
    for (const float value : {edge, std::nextafter(edge, 0.0f), std::nextafter(edge, 3e38f)})
      values.push_back(i % 2 == 0 ? value : -value);
  }
  return values;
}

TEST(LinearHistogramKernel, AroundTheEdges) {
  std::vector<Tensor> tensors;
  for (const float limit : {1.0f, 0.1f, 3e38f, 0x1p-126f, 0x1p-149f, 0x1.8p-140f, 1e-30f})
    for (const std::uint64_t bins : {1u, 2u, 3u, 1'000u, 4'097u, 40'960u, 40'961u}) {
      const LinearHistogram histogram(limit, bins);
      tensors.push_back(
          {sample::weights_of(DType::F32, around_edges(histogram, sample::kSlow ? 300 : 3'000)).bytes, limit,
           bins});
    }
  const LinearHistogram finest(0.3f, LinearHistogram::kMostBins);
  tensors.push_back({sample::weights_of(DType::F32, around_edges(finest, sample::kSlow ? 300 : 5'000)).bytes,
                     0.3f, finest.bins()});
  expect_histograms(DType::F32, tensors, 3);
}

TEST(LinearHistogramKernel, EveryFamily) {
  for (const DType dtype : kDTypes) {
    std::vector<Tensor> tensors;
    for (const sample::Family family : sample::kFamilies) {
      const sample::Weights weights = sample::make(dtype, family, 40'003, 3);
      float absmax = 0x1p-140f;  // of tiny BF16 weights all are zeros
      for (const float value : weights.values) absmax = std::max(absmax, std::fabs(value));
      tensors.push_back({weights.bytes, absmax, 200});
      tensors.push_back({weights.bytes, absmax / 3, 777, 1});
      tensors.push_back({weights.bytes, absmax, 50'000, 2});
    }
    expect_histograms(dtype, tensors, 4);
  }
}

TEST(LinearHistogramKernel, HundredsOfTensorsOfOddSizesBeginAnywhere) {
  for (const DType dtype : kDTypes) {
    std::vector<Tensor> tensors;
    for (std::uint64_t t = 0; t < (sample::kSlow ? 20 : 200); ++t) {
      const std::uint64_t random = sample::bits(3, t);
      std::size_t count = t < 20 ? t : random % 400;
      if (t % 40 == 7) count = kernels::kHistogramChunk * (t % 3 + 1) + random % 3 - 1;
      tensors.push_back({sample::make(dtype, sample::kFamilies[t % 2], count, t).bytes, 0.01f,
                         1 + random / 1000 % 300, random / 7 % (16 / width_of(dtype))});
    }
    expect_histograms(dtype, tensors, 4);
  }
}

TEST(LinearHistogramKernel, EqualWeightsAndNone) {
  for (const DType dtype : kDTypes) {
    const std::vector<float> equal(300'001, -0.25f);
    expect_histograms(dtype, {{sample::weights_of(dtype, equal).bytes, 1.0f, 64}, {{}, 1.0f, 8}}, 2);
    expect_histograms(dtype, {}, 2);
  }
}

TEST(LinearHistogramKernel, AnyOrderOfThreadsAndBlocks) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cuda_emulator::config().seed = seed;
    for (const DType dtype : kDTypes)
      expect_histograms(dtype,
                        {{sample::make(dtype, sample::Family::gaussian, 50'000, seed).bytes, 0.05f, 300},
                         {sample::make(dtype, sample::Family::heavy_tails, 5'000, seed).bytes, 0.05f, 30, 1}},
                        2);
  }
  cuda_emulator::config().seed = 0;
}

TEST(LinearHistogramKernel, RefusesOtherTypes) {
  EXPECT_EQ(kernels::linear_histogram({DType::F64, nullptr, {nullptr, 0}, 0, 1, 1}, nullptr),
            cudaErrorInvalidValue);
}

}  // namespace
}  // namespace afp
