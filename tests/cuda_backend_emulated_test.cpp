// The CUDA backend where memory is short, allocations fail, devices are several or fail: in emulation, where
// all of that can be had for the asking. What it computes is tested by the backend contract.
#include <gtest/gtest.h>

#include <cuda_emulator.hpp>
#include <functional>
#include <thread>

#include "afp/error.hpp"
#include "backends.hpp"
#include "expect_error.hpp"
#include "host/cuda/check.hpp"
#include "quantized.hpp"

namespace afp {
namespace {

using sample::Family;

std::unique_ptr<Backend> cuda(std::vector<int> devices = {0}) {
  return make_cuda_backend(devices, 1);
}

// A fresh device for every test, and nothing left on it afterwards.
class CudaBackendTest : public testing::Test {
 protected:
  CudaBackendTest() { restart({}); }
  ~CudaBackendTest() override {
    for (int device = 0; device < cuda_emulator::config().devices; ++device) {  // what is freed late
      EXPECT_EQ(cudaSetDevice(device), cudaSuccess);
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    }
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
    const std::string leaks = cuda_emulator::leaks();
    EXPECT_EQ(leaks, "");
    restart({});
  }
  static void restart(const cuda_emulator::Config& config) {
    cuda_emulator::config() = config;
    cuda_emulator::reset();
  }
};

// Tensors of several strips, one of each kind of block, and what the CPU makes of them.
const std::vector<Tensor>& tensors() {
  static const std::vector<Tensor> all = [] {
    std::vector<Tensor> made;
    std::uint64_t seed = 0;
    for (const auto& [text, shape, dtype] : std::initializer_list<std::tuple<const char*, Shape, DType>>{
             {"E2M1/32/e8m0", {3, 70'001}, DType::BF16},
             {"E1M2+E2M1/16/ue4m3", {2, 70'000}, DType::F32},
             {"E3M2/row/e8m0", {40, 5'000}, DType::F16}})
      made.push_back({parse_encoding(text), shape,
                      sample::make(dtype, Family::heavy_tails, element_count(shape), ++seed)});
    return made;
  }();
  return all;
}

// Everything a backend does to one tensor, as comparable values.
struct Results {
  Quantized quantized;
  std::vector<std::byte> weights;
  Statistics statistics{DType::F32};
  Extent extent;
  std::uint64_t within = 0;
  std::vector<std::uint64_t> costs;

  friend bool operator==(const Results& a, const Results& b) {
    return a.quantized == b.quantized && a.weights == b.weights && a.statistics == b.statistics &&
           a.extent.absmax == b.extent.absmax && a.extent.zeros == b.extent.zeros && a.within == b.within &&
           a.costs == b.costs;
  }
};

Results results_of(const Backend& backend, const Tensor& tensor) {
  const BlockGrid grid = tensor.grid();
  const WeightPiece whole{grid, {0, grid.cells()}, tensor.weights.dtype, tensor.weights.bytes.data()};
  Results results;
  results.quantized = quantize(backend, tensor, Effort::exact);
  results.weights = dequantize(backend, tensor, results.quantized, DType::BF16);
  results.statistics = Statistics(tensor.weights.dtype);
  backend.accumulate(whole, results.statistics);
  results.extent = backend.extent(whole);
  results.within = backend.count_within(whole, results.extent.absmax / 4);
  std::vector<StripSums> sums(strip_count(grid, whole.cells));
  const TensorCodec codec = tensor.codec();
  const std::span<StripSums> sum_span(sums);
  backend.block_costs(whole, {&codec, 1}, Effort::exact, 1, {&sum_span, 1});
  results.costs = sum_bits(sums);
  return results;
}

const std::vector<Results>& expected() {
  static const std::vector<Results> all = [] {
    std::vector<Results> made;
    const auto cpu = make_cpu_backend(1);
    for (const Tensor& tensor : tensors()) made.push_back(results_of(*cpu, tensor));
    return made;
  }();
  return all;
}

TEST_F(CudaBackendTest, TensorsLargerThanTheDevicesMemoryGoInPieces) {
  for (const std::size_t memory : {std::size_t{64} << 20, std::size_t{6} << 20, std::size_t{3} << 20}) {
    restart({.seed = 1, .memory = memory});
    const auto backend = cuda();
    for (std::size_t t = 0; t < tensors().size(); ++t)
      EXPECT_TRUE(results_of(*backend, tensors()[t]) == expected()[t])
          << memory << " " << tensors()[t].text();
    EXPECT_GT(backend->device_use().peak_memory, 0u);
    EXPECT_LE(backend->device_use().peak_memory, memory);
  }
}

TEST_F(CudaBackendTest, SaysWhatItWantedWhereNotEvenAStripFindsRoom) {
  restart({.memory = 10'000});
  const auto backend = cuda();
  expect_error<cuda::OutOfMemory>(
      [&] { quantize(*backend, tensors()[0], Effort::exact); },
      " bytes of device memory: out of memory (cudaErrorMemoryAllocation, host/cuda/", Message::part);
}

// Whatever call of an allocator fails: the same results or an error that says so, and nothing left behind.
TEST_F(CudaBackendTest, EveryAllocationMayFail) {
  for (const bool onwards : {false, true}) {
    for (std::size_t t = 0; t < tensors().size(); ++t) {
      std::uint64_t failing = 1;
      for (;; ++failing) {
        restart({.fail_allocation = {failing, onwards}});
        try {
          const auto backend = cuda();
          EXPECT_TRUE(results_of(*backend, tensors()[t]) == expected()[t]) << failing;
        } catch (const DeviceError& error) {
          EXPECT_NE(std::string(error.what()).find("cudaErrorMemoryAllocation"), std::string::npos)
              << error.what();
        }
        EXPECT_EQ(cuda_emulator::leaks(), "") << failing;
        if (HasFailure() || cuda_emulator::counters().allocations < failing) break;
      }
      EXPECT_GT(failing, 2u) << "no allocation was failed";
    }
  }
}

// A device that fails in the midst of work: named, and no results taken for good.
TEST_F(CudaBackendTest, EveryLaunchCopyAndWaitMayFail) {
  for (const int which : {0, 1, 2}) {
    std::uint64_t failing = 1;
    for (bool failed = true; failed; ++failing) {
      cuda_emulator::Config config{.seed = failing};
      (which == 0   ? config.fail_launch
       : which == 1 ? config.fail_copy
                    : config.fail_synchronize) = {failing, true};
      restart(config);
      failed = false;
      try {
        const auto backend = cuda();
        EXPECT_TRUE(results_of(*backend, tensors()[0]) == expected()[0]) << failing;
      } catch (const DeviceError& error) {
        failed = true;
        EXPECT_NE(std::string(error.what()).find("(cudaErrorIllegalAddress, host/cuda/"), std::string::npos)
            << error.what();
      }
      restart({});  // the process goes on, as far as the emulator is concerned
    }
    EXPECT_GT(failing, 3u) << "nothing was failed";
  }
}

TEST_F(CudaBackendTest, SeveralDevicesAndThreadsGiveTheBytesOfOne) {
  for (const std::uint64_t seed : {0u, 5u}) {
    restart({.seed = seed, .devices = 3});
    const auto backend = cuda({2, 0, 1});
    std::vector<std::thread> threads;
    std::atomic<int> equal = 0;
    for (int i = 0; i < 6; ++i)
      threads.emplace_back([&, t = static_cast<std::size_t>(i) % tensors().size()] {
        equal += results_of(*backend, tensors()[t]) == expected()[t];
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(equal, 6);
    EXPECT_EQ(backend->device_use().device, "3 x emulated");
  }
}

TEST_F(CudaBackendTest, TheCallersDeviceStaysItsOwn) {
  restart({.devices = 3});
  const auto backend = cuda({1, 0});
  ASSERT_EQ(cudaSetDevice(2), cudaSuccess);
  EXPECT_TRUE(results_of(*backend, tensors()[0]) == expected()[0]);
  int device = -1;
  ASSERT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 2);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

TEST_F(CudaBackendTest, TheMachineSaysWhatItHas) {
  restart({.devices = -1});
  EXPECT_EQ(cuda_machine().problem, "no NVIDIA driver found, expected one for CUDA 13.0");
  restart({.devices = 0});
  EXPECT_EQ(cuda_machine().problem, "no CUDA device found, expected one at least");
  restart({.devices = 2, .major = 7, .minor = 5});
  const CudaMachine old = cuda_machine();
  ASSERT_EQ(old.devices.size(), 2u);
  EXPECT_EQ(old.devices[1].compute_major, 7);
  EXPECT_FALSE(old.devices[1].is_usable());
  restart({});
  EXPECT_EQ(cuda_machine().problem, "");
  EXPECT_EQ(cuda()->description(), "cuda, emulated");
  EXPECT_EQ(cuda()->name(), "cuda");
}

}  // namespace
}  // namespace afp
