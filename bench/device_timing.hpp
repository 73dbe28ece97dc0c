// Timing of kernels: device memory, events, NVTX ranges, and the ceilings measured beside each case.
//
// A sample is the time between two events around several launches, divided by their number; launches take
// turns between sets of buffers that together are several times the second-level cache. The median of the
// samples counts: events see nothing of the host, and clocks that rise or fall move both ends alike.
#pragma once

#include <benchmark/benchmark.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace afp::bench {

// Throws std::runtime_error for anything but cudaSuccess.
void require(cudaError_t error, const char* doing);

// Why kernels cannot run here, in one line; empty: they can.
std::string why_no_device();
// Name, multiprocessors, memory, driver and toolkit of the device in use, as context of the results.
void add_device_context();

class DeviceBytes {
 public:
  explicit DeviceBytes(std::size_t size);
  explicit DeviceBytes(std::span<const std::byte> bytes);
  ~DeviceBytes();
  DeviceBytes(DeviceBytes&& other) noexcept;
  DeviceBytes& operator=(DeviceBytes&&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::vector<std::byte> read(std::size_t begin, std::size_t size) const;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A range in the timelines of profilers, as long as this lives.
class NvtxRange {
 public:
  explicit NvtxRange(const std::string& name);
  ~NvtxRange();
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

class Events {
 public:
  Events();
  ~Events();
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  // Seconds that the device takes for what `body` launches.
  template <class Body>
  double seconds(const Body& body) {
    require(cudaEventRecord(begin_, nullptr), "recording an event");
    body();
    require(cudaEventRecord(end_, nullptr), "recording an event");
    return elapsed();
  }

 private:
  double elapsed();

  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

double median(std::vector<double> samples);

inline constexpr int kLaunches = 4;  // a sample

// Median seconds of a launch; `launch(i)` works on set i % `sets` of the buffers.
template <class Launch>
double median_seconds(benchmark::State& state, int sets, const Launch& launch) {
  Events events;
  std::vector<double> samples;
  const auto all = [&] {
    for (int i = 0; i < kLaunches; ++i) require(launch(i % sets), "launching");
  };
  for (int i = 0; i < 3; ++i) events.seconds(all);
  for (auto _ : state) {
    samples.push_back(events.seconds(all) / kLaunches);
    state.SetIterationTime(samples.back());
  }
  return median(std::move(samples));
}

// Bytes a second, read and written ones together; the best median that this run has seen. Measured again at
// every call, on buffers of about 256 MiB.
struct Ceilings {
  double copy = 0.0;  // the better of a kernel and cudaMemcpyAsync
  double read = 0.0;
};
Ceilings measure_ceilings();

// Counters: the ceilings in GB/s, measured now.
Ceilings report_ceilings(benchmark::State& state);
// Counters: GB/s (read and written bytes), G weights/s, the ceilings in GB/s, GB/s in percent of copying.
void report_device(benchmark::State& state, double seconds, std::uint64_t bytes, std::uint64_t weights);

// A case within an NVTX range of its name; what it throws becomes its error.
void add_device(const std::string& name, std::function<void(benchmark::State&)> body);

}  // namespace afp::bench
