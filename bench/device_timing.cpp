// Bodies of device_timing.hpp.
#include "device_timing.hpp"

#include <nvtx3/nvToolsExt.h>

#include <exception>
#include <stdexcept>
#include <utility>

#include "device_ceilings.hpp"

namespace afp::bench {

void require(cudaError_t error, const char* doing) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(doing) + ": " + cudaGetErrorName(error) + ", " +
                             cudaGetErrorString(error));
}

std::string why_no_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return std::string(cudaGetErrorName(error)) + ", " + cudaGetErrorString(error);
  return count == 0 ? "the driver lists none" : "";
}

void add_device_context() {
  cudaDeviceProp properties{};
  int driver = 0, runtime = 0;
  require(cudaGetDeviceProperties(&properties, 0), "asking for the device's properties");
  require(cudaDriverGetVersion(&driver), "asking for the driver's version");
  require(cudaRuntimeGetVersion(&runtime), "asking for the runtime's version");
  const auto version = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
  benchmark::AddCustomContext("device", properties.name);
  benchmark::AddCustomContext("multiprocessors", std::to_string(properties.multiProcessorCount));
  benchmark::AddCustomContext("L2 MiB", std::to_string(properties.l2CacheSize >> 20));
  benchmark::AddCustomContext("compute capability",
                              std::to_string(properties.major) + "." + std::to_string(properties.minor));
  benchmark::AddCustomContext("CUDA", "driver for " + version(driver) + ", runtime " + version(runtime));
}

DeviceBytes::DeviceBytes(std::size_t size) : size_(size) {
  void* memory = nullptr;
  require(cudaMalloc(&memory, std::max<std::size_t>(size, 1)), "allocating device memory");
  data_ = static_cast<std::byte*>(memory);
  require(cudaMemset(data_, 0xAA, size), "filling device memory");
}
DeviceBytes::DeviceBytes(std::span<const std::byte> bytes) : DeviceBytes(bytes.size()) {
  require(cudaMemcpy(data_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "copying to the device");
}
DeviceBytes::~DeviceBytes() {
  (void)cudaFree(data_);
}
DeviceBytes::DeviceBytes(DeviceBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

std::vector<std::byte> DeviceBytes::read(std::size_t begin, std::size_t size) const {
  std::vector<std::byte> bytes(size);
  require(cudaMemcpy(bytes.data(), data_ + begin, size, cudaMemcpyDeviceToHost), "copying from the device");
  return bytes;
}

NvtxRange::NvtxRange(const std::string& name) {
  nvtxRangePushA(name.c_str());
}
NvtxRange::~NvtxRange() {
  nvtxRangePop();
}

Events::Events() {
  require(cudaEventCreateWithFlags(&begin_, cudaEventDefault), "creating an event");
  require(cudaEventCreateWithFlags(&end_, cudaEventDefault), "creating an event");
}
Events::~Events() {
  (void)cudaEventDestroy(begin_);
  (void)cudaEventDestroy(end_);
}
double Events::elapsed() {
  require(cudaEventSynchronize(end_), "running kernels");
  float milliseconds = 0.0f;
  require(cudaEventElapsedTime(&milliseconds, begin_, end_), "reading an event");
  return static_cast<double>(milliseconds) * 1e-3;
}

double median(std::vector<double> samples) {
  if (samples.empty()) return 0.0;
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

Ceilings measure_ceilings() {
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  constexpr int kSamples = 9;
  static Ceilings best;
  const NvtxRange range("ceilings");
  const DeviceBytes from(kBytes), to(kBytes);
  const DeviceBytes sink(sizeof(unsigned));
  Events events;
  const auto rate = [&](std::size_t bytes, const auto& launch) {
    std::vector<double> samples;
    for (int i = 0; i < kSamples; ++i)
      samples.push_back(events.seconds([&] {
        for (int j = 0; j < kLaunches; ++j) require(launch(), "measuring a ceiling");
      }) / kLaunches);
    return static_cast<double>(bytes) / median(std::move(samples));
  };
  const double by_kernel =
      rate(2 * kBytes, [&] { return copy_all(from.data(), to.data(), kBytes, nullptr); });
  const double by_copy = rate(2 * kBytes, [&] {
    return cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, nullptr);
  });
  best.copy = std::max({best.copy, by_kernel, by_copy});
  best.read =
      std::max(best.read, rate(kBytes, [&] {
                 return read_all(from.data(), kBytes, reinterpret_cast<unsigned*>(sink.data()), nullptr);
               }));
  return best;
}

Ceilings report_ceilings(benchmark::State& state) {
  const Ceilings ceilings = measure_ceilings();
  state.counters["copy_GB/s"] = ceilings.copy / 1e9;
  state.counters["read_GB/s"] = ceilings.read / 1e9;
  return ceilings;
}

void report_device(benchmark::State& state, double seconds, std::uint64_t bytes, std::uint64_t weights) {
  const Ceilings ceilings = report_ceilings(state);
  const double rate = static_cast<double>(bytes) / seconds;
  state.counters["GB/s"] = rate / 1e9;
  state.counters["Gweights/s"] = static_cast<double>(weights) / seconds / 1e9;
  state.counters["%_of_copy"] = 100.0 * rate / ceilings.copy;
}

void add_device(const std::string& name, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [name, body = std::move(body)](benchmark::State& state) {
                                 const NvtxRange range(name);
                                 try {
                                   body(state);
                                 } catch (const std::exception& error) {
                                   state.SkipWithError(error.what());
                                 }
                               })
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace afp::bench
