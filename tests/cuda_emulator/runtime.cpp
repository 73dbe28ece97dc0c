// The rest of the runtime API: configuration, errors, devices, launches.
#include "runtime.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace cuda_emulator {
namespace {

constexpr int kSharedPerBlock = 48 << 10, kSharedOptin = 227 << 10, kSharedPerProcessor = 228 << 10;

Config from_environment() {
  Config result;
  const auto read = [](const char* name, auto&& set) {
    const std::string variable = std::string("CUDA_EMULATOR_") + name;
    const char* text = std::getenv(variable.c_str());
    if (text == nullptr || *text == 0) return;
    try {
      set(std::string(text));
    } catch (const std::logic_error&) {
      throw std::runtime_error(variable + "=" + text + ": expected a number");
    }
  };
  const auto read_fault = [&](const char* name, Fault& fault) {
    read(name, [&](const std::string& text) { fault = {std::stoull(text), text.back() == '+'}; });
  };
  read("SEED", [&](const std::string& text) { result.seed = std::stoull(text); });
  read("EAGER", [&](const std::string& text) { result.eager = std::stoi(text) != 0; });
  read("DEVICES", [&](const std::string& text) { result.devices = std::stoi(text); });
  read("MEMORY", [&](const std::string& text) { result.memory = std::stoull(text); });
  read("CAPABILITY", [&](const std::string& text) {
    std::size_t point = 0;
    result.major = std::stoi(text, &point);
    result.minor = point + 1 < text.size() ? std::stoi(text.substr(point + 1)) : 0;
  });
  read_fault("FAIL_ALLOCATION", result.fail_allocation);
  read_fault("FAIL_LAUNCH", result.fail_launch);
  read_fault("FAIL_COPY", result.fail_copy);
  read_fault("FAIL_SYNCHRONIZE", result.fail_synchronize);
  return result;
}

void write_report() {
  const auto [allocations, launches, copies, synchronisations] = counters();
  const std::string text = "allocations " + std::to_string(allocations) + "\nlaunches " +
                           std::to_string(launches) + "\ncopies " + std::to_string(copies) +
                           "\nsynchronisations " + std::to_string(synchronisations) + "\n" + leaks();
  if (std::FILE* file = std::fopen(std::getenv("CUDA_EMULATOR_REPORT"), "w")) {
    std::fputs(text.c_str(), file);
    std::fclose(file);
  }
}

}  // namespace

constinit thread_local int current_device = 0;
constinit thread_local cudaError_t last_error = cudaSuccess;

Runtime::Runtime() : config(from_environment()), seeded_with(config.seed), random(config.seed) {
  if (std::getenv("CUDA_EMULATOR_REPORT") != nullptr) std::atexit(write_report);
}
Runtime& runtime() {
  static Runtime* instance = new Runtime;  // never destroyed: static objects may free what they hold later
  return *instance;
}

Device& Runtime::device(int index) {
  Device& result = devices[index];
  if (result.null_stream == nullptr) {
    result.null_stream = std::make_shared<CUstream_st>();
    result.null_stream->device = index;
    streams.push_back(result.null_stream);
  }
  return result;
}

Config& config() { return runtime().config; }
Counters counters() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().counters;
}
void reset() {
  Runtime& self = runtime();
  const std::lock_guard lock(self.mutex);
  self.drop_work();
  self.counters = {};
  self.sticky = last_error = cudaSuccess;
  self.failure = nullptr;
  self.random = Random(self.seeded_with = self.config.seed);
}
std::string leaks() {
  Runtime& self = runtime();
  const std::lock_guard lock(self.mutex);
  std::string result;
  for (const auto& [data, allocation] : self.allocations) {
    result += std::string(allocation.type == cudaMemoryTypeDevice ? "device" : "pinned") + " memory of " +
              std::to_string(allocation.bytes) + " bytes is not freed\n";
  }
  for (const StreamPointer& stream : self.streams) {
    if (!stream->destroyed && stream != self.device(stream->device).null_stream)
      result += "a stream is not destroyed\n";
  }
  for (std::size_t i = 0; i < self.events.size(); ++i) result += "an event is not destroyed\n";
  return result;
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> thread) {
  return call([&](Runtime& self) {
    const dim3 grid = config.gridDim, block = config.blockDim;
    const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
    if (threads == 0 || threads > 1024 || block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
        grid.x > 0x7FFFFFFF || grid.y > 65535 || grid.z > 65535) {
      return cudaErrorInvalidConfiguration;
    }
    const auto limit = self.dynamic_limits.find(kernel);
    const int allowed = limit == self.dynamic_limits.end() ? kSharedPerBlock : limit->second;
    if (config.dynamicSmemBytes > static_cast<std::size_t>(allowed)) return cudaErrorInvalidValue;
    if (self.config.major < 8) return cudaErrorNoKernelImageForDevice;
    const StreamPointer stream = self.find_stream(config.stream);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const std::uint64_t seed = self.config.seed == 0 ? 0 : self.random.next() | 1;
    self.enqueue(stream, self.unless(self.config.fail_launch, ++self.counters.launches,
                                     [=, bytes = config.dynamicSmemBytes, body = std::move(thread)] {
                                       run_grid(grid, block, bytes, seed, body);
                                     }));
    return cudaSuccess;
  });
}
cudaError_t run_on_stream(cudaStream_t handle, std::function<void()> run) {
  return call([&](Runtime& self) {
    const StreamPointer stream = self.find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    self.enqueue(stream, self.unless(self.config.fail_launch, ++self.counters.launches, std::move(run)));
    return cudaSuccess;
  });
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

#define CUDA_EMULATOR_NAME(name, number, text) \
  case name:                                   \
    return #name;
#define CUDA_EMULATOR_TEXT(name, number, text) \
  case name:                                   \
    return text;
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) { CUDA_EMULATOR_ERRORS(CUDA_EMULATOR_NAME) }
  return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) { CUDA_EMULATOR_ERRORS(CUDA_EMULATOR_TEXT) }
  return "unrecognized error code";
}
cudaError_t cudaPeekAtLastError() { return last_error; }
cudaError_t cudaGetLastError() {
  const std::lock_guard lock(runtime().mutex);
  return std::exchange(last_error, runtime().sticky);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = runtime().config.devices < 0 ? 0 : CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call([&](Runtime& self) {
    *count = self.config.devices;
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int index) {
  return call([&](Runtime& self) {
    if (!self.is_device(index)) return cudaErrorInvalidDevice;
    current_device = index;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDevice(int* index) {
  return call([&](Runtime&) {
    *index = current_device;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  return call([&](Runtime& self) {
    if (!self.is_device(index)) return cudaErrorInvalidDevice;
    cudaDeviceProp& p = *properties = {};
    std::strcpy(p.name, "emulated");
    p.totalGlobalMem = self.config.memory;
    p.sharedMemPerBlock = kSharedPerBlock;
    p.sharedMemPerBlockOptin = kSharedOptin;
    p.sharedMemPerMultiprocessor = kSharedPerProcessor;
    p.reservedSharedMemPerBlock = 1024;
    p.regsPerBlock = p.regsPerMultiprocessor = 65536;
    p.warpSize = 32;
    p.maxThreadsPerBlock = p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
    p.maxThreadsDim[2] = 64;
    p.maxThreadsPerMultiProcessor = 2048;
    p.maxGridSize[0] = 0x7FFFFFFF;
    p.maxGridSize[1] = p.maxGridSize[2] = 65535;
    p.major = self.config.major;
    p.minor = self.config.minor;
    p.multiProcessorCount = self.config.processors;
    p.maxBlocksPerMultiProcessor = 32;
    p.l2CacheSize = 50 << 20;
    p.memoryBusWidth = 5120;
    p.asyncEngineCount = 3;
    p.concurrentKernels = p.unifiedAddressing = p.memoryPoolsSupported = 1;
    p.pciBusID = index + 1;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int index) {
  cudaDeviceProp p;
  if (const cudaError_t error = cudaGetDeviceProperties(&p, index); error != cudaSuccess) return error;
  const std::map<cudaDeviceAttr, int> values{
      {cudaDevAttrMaxThreadsPerBlock, p.maxThreadsPerBlock},
      {cudaDevAttrMaxSharedMemoryPerBlock, kSharedPerBlock},
      {cudaDevAttrWarpSize, p.warpSize},
      {cudaDevAttrMultiProcessorCount, p.multiProcessorCount},
      {cudaDevAttrL2CacheSize, p.l2CacheSize},
      {cudaDevAttrMaxThreadsPerMultiProcessor, p.maxThreadsPerMultiProcessor},
      {cudaDevAttrComputeCapabilityMajor, p.major},
      {cudaDevAttrComputeCapabilityMinor, p.minor},
      {cudaDevAttrMaxSharedMemoryPerMultiprocessor, kSharedPerProcessor},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, kSharedOptin},
      {cudaDevAttrMemoryPoolsSupported, p.memoryPoolsSupported}};
  const auto found = values.find(attribute);
  if (found == values.end()) return last_error = cudaErrorInvalidValue;
  *value = found->second;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call([&](Runtime& self) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || value > kSharedOptin) return cudaErrorInvalidValue;
    self.dynamic_limits[kernel] = value;
    return cudaSuccess;
  });
}
