// Device-wide algorithms against the obvious loops. (The emulated build tests its own twin of them, which
// what is built on them relies upon; on a device the same test is CUB's.)
#include "kernels/primitives.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "cuda_emulator.hpp"
#include "device_array.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using kernels::Workspace;

// A stream whose work waits, so that inputs copied on it are not there yet when an algorithm is called.
class LateStream {
 public:
  LateStream() {
    cuda_emulator::config().seed = 5;
    require_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  ~LateStream() {
    (void)cudaStreamDestroy(stream_);
    cuda_emulator::config().seed = 0;
  }
  cudaStream_t get() const { return stream_; }

  template <class T>
  void copy(DeviceArray<T>& to, const std::vector<T>& from) const {
    if (from.empty()) return;
    require_success(
        cudaMemcpyAsync(to.data(), from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, stream_));
  }

 private:
  cudaStream_t stream_ = nullptr;
};

struct DeviceWorkspace {
  explicit DeviceWorkspace(std::size_t bytes) : memory(std::max<std::size_t>(bytes, 1)) {}
  Workspace get() { return {memory.data(), memory.size()}; }
  DeviceArray<std::byte> memory;
};

TEST(Primitives, ExclusiveSum) {
  const LateStream stream;
  for (const std::size_t count : {0u, 1u, 2u, 100u, 5'000u}) {
    std::vector<std::uint64_t> values(count), expected(count);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = sample::bits(1, i) >> 16;  // sums beyond 32 bits
      expected[i] = sum;
      sum += values[i];
    }
    DeviceArray<std::uint64_t> on_device(count), sums(count);
    std::size_t bytes = 0;
    require_success(kernels::exclusive_sum_bytes(count, &bytes));
    DeviceWorkspace workspace(bytes);
    stream.copy(on_device, values);
    require_success(
        kernels::exclusive_sum(workspace.get(), on_device.data(), sums.data(), count, stream.get()));
    EXPECT_EQ(sums.read(), expected);
  }
}

TEST(Primitives, SegmentedArgMin) {
  const LateStream stream;
  for (const std::size_t segments : {0u, 1u, 7u, 300u}) {
    std::vector<std::uint32_t> offsets = {3};  // segments may begin anywhere
    std::vector<double> costs(3, -1e9);
    std::vector<std::pair<std::uint32_t, double>> expected;
    for (std::size_t s = 0; s < segments; ++s) {
      const auto size = static_cast<std::uint32_t>(sample::bits(2, s) % 70 + 1);
      std::pair<std::uint32_t, double> best = {0, 0.0};
      for (std::uint32_t i = 0; i < size; ++i) {
        // Few different costs, so that many are equal; some below zero, some infinite.
        const std::uint64_t random = sample::bits(3, costs.size());
        costs.push_back(random % 11 == 0 ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(random / 11 % 9) - 4.0);
        if (i == 0 || costs.back() < best.second) best = {i, costs.back()};
      }
      offsets.push_back(offsets.back() + size);
      expected.push_back(best);
    }
    DeviceArray<double> cost_array(costs.size());
    DeviceArray<std::uint32_t> offset_array(offsets.size());
    DeviceArray<kernels::SegmentMinimum> minima(segments);
    std::size_t bytes = 0;
    require_success(kernels::segmented_arg_min_bytes(segments, &bytes));
    DeviceWorkspace workspace(bytes);
    stream.copy(cost_array, costs);
    stream.copy(offset_array, offsets);
    require_success(kernels::segmented_arg_min(workspace.get(), cost_array.data(), offset_array.data(),
                                               segments, minima.data(), stream.get()));
    const std::vector<kernels::SegmentMinimum> found = minima.read();
    for (std::size_t s = 0; s < segments; ++s) {
      EXPECT_EQ(found[s].index, expected[s].first) << s;
      EXPECT_EQ(found[s].cost, expected[s].second) << s;
    }
  }
}

TEST(Primitives, RefuseNoWorkspace) {
  EXPECT_EQ(kernels::exclusive_sum({nullptr, 0}, nullptr, nullptr, 5, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(kernels::segmented_arg_min({nullptr, 0}, nullptr, nullptr, 5, nullptr, nullptr),
            cudaErrorInvalidValue);
}

}  // namespace
}  // namespace afp
