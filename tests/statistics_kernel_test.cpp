// Statistics gathered by kernels against those that the CPU gathers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "afp/statistics.hpp"
#include "cuda_emulator.hpp"
#include "device_array.hpp"
#include "kernels/key_window.hpp"
#include "kernels/statistics.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using kernels::StatisticsTensor;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

std::size_t width_of(DType dtype) {
  return static_cast<std::size_t>(dtype_bits(dtype)) / 8;
}

// A tensor of a launch: its weights begin `shift` of them behind a boundary of 16 bytes.
struct Tensor {
  std::vector<std::byte> weights;
  std::size_t shift = 0;
};

// The tables of tensors in device memory, all zeros.
class DeviceTables {
 public:
  DeviceTables(DType dtype, std::size_t tensors)
      : dtype_(dtype),
        keys_(kernels::keys_of(dtype)),
        stride_((dtype == DType::F32 ? 4 : 1) * keys_),
        sums_(std::vector<unsigned long long>(tensors * stride_)),
        largest_(std::vector<unsigned>(tensors)) {}

  kernels::StatisticsTables of(std::size_t tensor) {
    unsigned long long* const count = sums_.data() + tensor * stride_;
    if (dtype_ != DType::F32) return {count, nullptr, nullptr, nullptr, nullptr};
    return {count, count + keys_, count + 2 * keys_, count + 3 * keys_, largest_.data() + tensor};
  }

  std::vector<Statistics> read() const {
    const std::vector<unsigned long long> sums = sums_.read();
    const std::vector<unsigned> largest = largest_.read();
    std::vector<Statistics> result;
    for (std::size_t t = 0; t < largest.size(); ++t) {
      Statistics& statistics = result.emplace_back(dtype_);
      std::vector<std::uint64_t> tables(sums.begin() + static_cast<std::ptrdiff_t>(t * stride_),
                                        sums.begin() + static_cast<std::ptrdiff_t>((t + 1) * stride_));
      const auto table = [&](std::size_t i) {
        return std::span<const std::uint64_t>(tables).subspan(i * keys_, keys_);
      };
      if (dtype_ == DType::F32)
        statistics.add_counts(0, {table(0), table(1), table(2), table(3)}, bits_float(largest[t]));
      else
        statistics.add_counts(0, table(0));
    }
    return result;
  }

 private:
  DType dtype_;
  std::size_t keys_, stride_;
  DeviceArray<unsigned long long> sums_;
  DeviceArray<unsigned> largest_;
};

// One launch over all tensors, adding to `tables`.
void gather(DType dtype, const std::vector<Tensor>& tensors, int multiprocessors, DeviceTables& tables) {
  const std::size_t width = width_of(dtype);
  std::vector<std::unique_ptr<DeviceArray<std::byte>>> memory;
  std::vector<StatisticsTensor> on_device;
  std::vector<std::uint64_t> first_chunk = {0};
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    // No byte behind the weights: reads beyond them are seen by sanitizers.
    std::vector<std::byte> shifted(tensors[t].shift * width);
    shifted.insert(shifted.end(), tensors[t].weights.begin(), tensors[t].weights.end());
    memory.push_back(std::make_unique<DeviceArray<std::byte>>(shifted));
    const std::uint64_t count = tensors[t].weights.size() / width;
    on_device.push_back({memory.back()->data() + tensors[t].shift * width, count, tables.of(t)});
    first_chunk.push_back(first_chunk.back() +
                          (count + kernels::kStatisticsChunk - 1) / kernels::kStatisticsChunk);
  }
  const DeviceArray<StatisticsTensor> list(on_device);
  const DeviceArray<std::uint64_t> chunks(first_chunk);
  require_success(kernels::statistics({dtype,
                                       list.data(),
                                       {chunks.data(), static_cast<std::uint32_t>(tensors.size())},
                                       first_chunk.back(),
                                       multiprocessors},
                                      nullptr));
  require_success(cudaDeviceSynchronize());
}

void expect_statistics_of(DType dtype, const std::vector<Tensor>& tensors, int multiprocessors) {
  DeviceTables tables(dtype, tensors.size());
  gather(dtype, tensors, multiprocessors, tables);
  const std::vector<Statistics> found = tables.read();
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    Statistics expected(dtype);
    expected.add(tensors[t].weights.data(), tensors[t].weights.size() / width_of(dtype));
    ASSERT_EQ(found[t].count(), expected.count()) << dtype_name(dtype) << ", tensor " << t;
    ASSERT_EQ(found[t].zeros(), expected.zeros()) << dtype_name(dtype) << ", tensor " << t;
    ASSERT_EQ(found[t].nonfinite(), expected.nonfinite()) << dtype_name(dtype) << ", tensor " << t;
    ASSERT_EQ(found[t].absmax(), expected.absmax()) << dtype_name(dtype) << ", tensor " << t;
    ASSERT_TRUE(found[t] == expected) << dtype_name(dtype) << ", tensor " << t;
  }
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<std::byte> any_patterns(DType dtype, std::size_t count, std::uint64_t seed) {
  const std::size_t width = width_of(dtype);
  std::vector<std::byte> bytes(count * width);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t pattern = sample::bits(seed, i % 3 == 0 ? i / 7 : i);
    if (i % 5 == 0) pattern &= ~std::uint64_t{0x7FFF};    // F32: r == 0
    if (i % 11 == 0) pattern = i % 2 << (8 * width - 1);  // zeros of both signs
    std::memcpy(bytes.data() + i * width, &pattern, width);
  }
  return bytes;
}

// `count` weights of these bits, the signs at random or all alike.
std::vector<std::byte> constant(DType dtype, std::uint32_t bits, std::size_t count, bool signs) {
  const std::size_t width = width_of(dtype);
  std::vector<std::byte> bytes(count * width);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t sign = signs && sample::bits(3, i) % 2 != 0 ? 1u << (8 * width - 1) : 0;
    const std::uint32_t weight = bits | sign;
    std::memcpy(bytes.data() + i * width, &weight, width);
  }
  return bytes;
}

TEST(StatisticsKernel, EveryKey) {
  std::vector<std::uint16_t> halves(0x10000);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<std::uint32_t> floats;
  for (std::uint32_t key = 0; key < 0x10000; ++key)
    for (const std::uint32_t rest : {0u, 1u, 0x4321u, 0x7FFFu})
      floats.push_back(key << 15 | rest | (key % 3 == 0 ? 0x80000000u : 0));
  expect_statistics_of(DType::BF16, {{bytes_of(halves)}}, 2);
  expect_statistics_of(DType::F16, {{bytes_of(halves)}}, 2);
  expect_statistics_of(DType::F32, {{bytes_of(floats)}}, 2);
}

TEST(StatisticsKernel, EveryFamily) {
  for (const DType dtype : kDTypes) {
    std::vector<Tensor> tensors;
    for (const sample::Family family : sample::kFamilies)
      tensors.push_back({sample::make(dtype, family, 40'000, 7).bytes});
    tensors.push_back({any_patterns(dtype, 50'001, 1)});
    expect_statistics_of(dtype, tensors, 3);
  }
}

TEST(StatisticsKernel, HundredsOfTensorsOfOddSizesBeginAnywhere) {
  for (const DType dtype : kDTypes) {
    std::vector<Tensor> tensors;
    const std::uint64_t many = (dtype == DType::F32 ? 60 : 300) / (sample::kSlow ? 10 : 1);
    for (std::uint64_t t = 0; t < many; ++t) {
      const std::size_t vector = 16 / width_of(dtype);
      const std::uint64_t random = sample::bits(11, t);
      std::size_t count = t < 2 * vector ? t : random % 300;
      if (t % 16 == 9) count = kernels::kStatisticsChunk + random % 3 - 1;
      if (t % 50 == 20) count = 0;
      tensors.push_back({any_patterns(dtype, count, t), random / 1000 % vector});
    }
    tensors.push_back({any_patterns(dtype, 3 * kernels::kStatisticsChunk + 5, 99), 3});
    tensors.push_back({});
    expect_statistics_of(dtype, tensors, 4);
  }
}

TEST(StatisticsKernel, NothingAtAll) {
  for (const DType dtype : kDTypes) {
    expect_statistics_of(dtype, {}, 4);
    expect_statistics_of(dtype, {{}, {}}, 4);
  }
}

// No counter overflows: as many equal weights in one run as it may have, and more.
TEST(StatisticsKernel, MillionsOfEqualWeights) {
  const std::size_t many = 70 * kernels::kStatisticsChunk + 11;
  expect_statistics_of(DType::BF16, {{constant(DType::BF16, 0x3F81, many, false)}}, 1);
  expect_statistics_of(DType::BF16, {{constant(DType::BF16, 0x3F82, many, true)}}, 1);
  expect_statistics_of(DType::BF16, {{constant(DType::BF16, 0x0000, many, false)}}, 1);
  expect_statistics_of(DType::BF16, {{constant(DType::BF16, 0x0000, many, true)}}, 1);
  expect_statistics_of(DType::F16, {{constant(DType::F16, 0x3C01, many, false)}}, 1);
  const std::size_t some = 6 * kernels::kStatisticsChunk + 11;
  expect_statistics_of(DType::F32, {{constant(DType::F32, 0x3F807FFF, some, false)}}, 1);
  expect_statistics_of(DType::F32, {{constant(DType::F32, 0x3F807FFF, some, true)}}, 1);
  expect_statistics_of(DType::F32, {{constant(DType::F32, 0x3F808000, some, false)}}, 1);
  expect_statistics_of(DType::F32, {{constant(DType::F32, 0x00000000, some, true)}}, 1);
}

// What the windows of the kernels leave out: clusters far apart, outliers, zeros among them, and windows that
// reach the subnormals or the largest numbers.
TEST(StatisticsKernel, WeightsFarApart) {
  for (const DType dtype : {DType::BF16, DType::F32}) {
    const std::uint32_t shift = dtype == DType::BF16 ? 0 : 16;
    const auto mixed = [&](std::uint32_t main, std::uint32_t other, std::uint64_t one_in, std::size_t count) {
      std::vector<std::byte> bytes(count * width_of(dtype));
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t random = sample::bits(17, i);
        const auto above = static_cast<std::uint32_t>(random / 1000 % 512);
        std::uint32_t bits = ((random % one_in == 0 ? other : main) + above) << shift;
        if (random / 7 % 5 == 0) bits = 0;
        if (random % 2 != 0) bits |= 0x8000u << shift;
        if (dtype == DType::F32) bits |= static_cast<std::uint32_t>(random >> 60);
        std::memcpy(bytes.data() + i * width_of(dtype), &bits, width_of(dtype));
      }
      return bytes;
    };
    expect_statistics_of(dtype,
                         {{mixed(0x3C00, 0x1000, 2, 40'000)},
                          {mixed(0x3C00, 0x1000, 100, 40'000)},
                          {mixed(0x3C00, 0x7F00, 1000, 40'000)},  // infinities and NaN among them
                          {mixed(0x0000, 0x0A00, 10, 40'000)},    // subnormal
                          {mixed(0x7E00, 0x0000, 10, 40'000)},
                          {constant(dtype, 1u << shift, 9'000, true)},
                          {constant(dtype, 0x7FC0u << shift, 9'000, true)}},
                         2);
  }
}

TEST(StatisticsKernel, AddsToWhatIsThere) {
  for (const DType dtype : kDTypes) {
    const std::vector<Tensor> first = {{any_patterns(dtype, 5'000, 4)}, {any_patterns(dtype, 100, 5)}},
                              second = {{any_patterns(dtype, 100, 6)}, {any_patterns(dtype, 7'000, 7)}};
    DeviceTables tables(dtype, 2);
    gather(dtype, first, 2, tables);
    gather(dtype, second, 2, tables);
    const std::vector<Statistics> found = tables.read();
    for (std::size_t t = 0; t < 2; ++t) {
      Statistics expected(dtype);
      for (const auto* tensors : {&first, &second})
        expected.add((*tensors)[t].weights.data(), (*tensors)[t].weights.size() / width_of(dtype));
      EXPECT_TRUE(found[t] == expected) << dtype_name(dtype) << ' ' << t;
    }
  }
}

TEST(StatisticsKernel, AnyOrderOfThreadsAndBlocks) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cuda_emulator::config().seed = seed;
    for (const DType dtype : kDTypes) {
      std::vector<Tensor> tensors;
      for (std::uint64_t t = 0; t < 6; ++t)
        tensors.push_back({any_patterns(dtype, 400 * t * t + t, t), t % 3});
      tensors.push_back({sample::make(dtype, sample::Family::gaussian, 70'000, seed).bytes});
      expect_statistics_of(dtype, tensors, 3);
    }
  }
  cuda_emulator::config().seed = 0;
}

TEST(StatisticsKernel, RefusesOtherTypes) {
  EXPECT_EQ(kernels::statistics({DType::F64, nullptr, {nullptr, 0}, 0, 1}, nullptr), cudaErrorInvalidValue);
}

// --- Where a window is placed
// --------------------------------------------------------------------------------

void __global__ window_kernel(const int* exponents, int width, int* first) {
  AFP_SHARED(kernels::WindowScratch, scratch, 1);
  const int chosen = kernels::best_window(exponents[threadIdx.x], width, scratch[0]);
  first[threadIdx.x] = chosen;
}

TEST(KeyWindow, HoldsTheMostAndLiesInTheMiddle) {
  constexpr unsigned kThreads = 1024;
  for (std::uint64_t sample = 0; sample < 40; ++sample) {
    std::vector<int> exponents(kThreads, -1);
    const std::uint64_t random = sample::bits(5, sample);
    for (std::size_t i = 0; i < kThreads; ++i) {
      const std::uint64_t own = sample::bits(sample, i);
      switch (sample % 5) {
        case 0:
          exponents[i] = static_cast<int>(own % 256);
          break;
        case 1:  // a cluster that a window of 20 holds with room to spare, and outliers
          exponents[i] = static_cast<int>(own % 64 == 0 ? own / 64 % 256 : random % 240 + own / 64 % 9);
          break;
        case 2:  // one value, here and there
          if (own % 9 == 0) exponents[i] = static_cast<int>(random % 256);
          break;
        case 3:  // two clusters
          exponents[i] = static_cast<int>(own % 2 == 0 ? 30 + own / 2 % 5 : 200 + own / 2 % 5);
          break;
        default:  // none
          break;
      }
    }
    for (const int width : {20, 32}) {
      const auto held = [&](int first) {
        return std::count_if(exponents.begin(), exponents.end(),
                             [&](int e) { return e >= first && e < first + width; });
      };
      int lowest = 0;
      for (int first = 1; first + width <= 256; ++first)
        if (held(first) > held(lowest)) lowest = first;
      int highest = lowest;
      while (highest + 1 + width <= 256 && held(highest + 1) == held(lowest)) ++highest;
      const DeviceArray<int> on_device(exponents);
      DeviceArray<int> first(kThreads);
      require_success(
          kernels::launch(window_kernel, 1, kThreads, 0, nullptr, on_device.data(), width, first.data()));
      EXPECT_EQ(first.read(), std::vector<int>(kThreads, (lowest + highest) / 2)) << sample << ' ' << width;
    }
  }
}

}  // namespace
}  // namespace afp
