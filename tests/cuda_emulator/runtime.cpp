// The runtime API: devices and their memory, streams whose work runs late, and faults on request.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "cuda_runtime_api.h"
#include "random.hpp"
#include "sanitizers.hpp"

namespace cuda_emulator {
namespace {

// The first `count` pieces of work of a stream are done.
struct Mark {
  std::shared_ptr<CUstream_st> stream;
  std::uint64_t count = 0;
  bool reached() const;
};
struct Work {
  std::function<void()> run;
  std::vector<Mark> after;
};
using Clock = std::chrono::steady_clock;

}  // namespace
}  // namespace cuda_emulator

struct CUstream_st {
  int device = 0;
  bool blocking = true;  // ordered with the null stream of its device
  bool destroyed = false;
  std::deque<cuda_emulator::Work> queue;
  std::uint64_t queued = 0, done = 0;
};
struct CUevent_st {
  bool timed = true;
  cuda_emulator::Mark mark;
  std::shared_ptr<cuda_emulator::Clock::time_point> time;
};
struct CUmemPoolHandle_st {
  int device = 0;
  std::uint64_t release_threshold = 0;
};

namespace cuda_emulator {
namespace {

bool Mark::reached() const {
  return stream == nullptr || stream->done >= count;
}

struct Allocation {
  std::size_t bytes;
  cudaMemoryType type;
  int device;
  bool freeing = false;
};
struct Device {
  std::shared_ptr<CUstream_st> null_stream;
  CUmemPoolHandle_st pool;
  std::size_t used = 0, highest = 0;
};

Fault fault_of(const std::string& text) {
  return {std::stoull(text), text.back() == '+'};
}

Config from_environment() {
  Config result;
  const auto read = [](const char* name, auto&& set) {
    const char* text = std::getenv((std::string("CUDA_EMULATOR_") + name).c_str());
    if (text == nullptr || *text == 0) return;
    try {
      set(std::string(text));
    } catch (const std::logic_error&) {
      throw std::runtime_error(std::string("CUDA_EMULATOR_") + name + "=" + text + ": expected a number");
    }
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
  read("FAIL_ALLOCATION", [&](const std::string& text) { result.fail_allocation = fault_of(text); });
  read("FAIL_LAUNCH", [&](const std::string& text) { result.fail_launch = fault_of(text); });
  read("FAIL_COPY", [&](const std::string& text) { result.fail_copy = fault_of(text); });
  read("FAIL_SYNCHRONIZE", [&](const std::string& text) { result.fail_synchronize = fault_of(text); });
  return result;
}

struct Runtime {
  std::mutex mutex;
  Config config = from_environment();
  Counters counters;
  std::uint64_t seeded_with = config.seed;
  Random random{config.seed};
  std::map<int, Device> devices;
  std::vector<std::shared_ptr<CUstream_st>> streams;
  std::set<cudaEvent_t> events;
  std::map<const char*, Allocation> allocations;
  std::map<const void*, int> dynamic_limits;  // of kernels that asked for more than 48 KiB
  cudaError_t sticky = cudaSuccess;
  std::exception_ptr failure;

  Runtime() {
    if (std::getenv("CUDA_EMULATOR_REPORT") != nullptr) std::atexit(write_report);
  }
  static void write_report();
};

Runtime& runtime() {
  static Runtime* instance = new Runtime;  // never destroyed: static objects may free what they hold later
  return *instance;
}
thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

void Runtime::write_report() {
  if (std::FILE* file = std::fopen(std::getenv("CUDA_EMULATOR_REPORT"), "w")) {
    const Counters c = runtime().counters;
    std::fprintf(file, "allocations %llu\nlaunches %llu\ncopies %llu\nsynchronisations %llu\n%s",
                 static_cast<unsigned long long>(c.allocations), static_cast<unsigned long long>(c.launches),
                 static_cast<unsigned long long>(c.copies),
                 static_cast<unsigned long long>(c.synchronisations), leaks().c_str());
    std::fclose(file);
  }
}

bool eager() {
  return runtime().config.seed == 0 || runtime().config.eager;
}

// --- Streams
// ---------------------------------------------------------------------------------------------------------

Device& device(int index) {
  Device& result = runtime().devices[index];
  if (result.null_stream == nullptr) {
    result.null_stream = std::make_shared<CUstream_st>();
    result.null_stream->device = result.pool.device = index;
    runtime().streams.push_back(result.null_stream);
  }
  return result;
}

// Null where there is no such stream, or where it belongs to another device than the current one.
std::shared_ptr<CUstream_st> find_stream(cudaStream_t handle) {
  if (handle == nullptr) return device(current_device).null_stream;
  for (const auto& stream : runtime().streams) {
    if (stream.get() == handle && !stream->destroyed && stream->device == current_device) return stream;
  }
  return nullptr;
}

void drop_work() {
  for (const auto& stream : runtime().streams) {
    stream->queue.clear();
    stream->done = stream->queued;
  }
}

void poison(cudaError_t error) {
  runtime().sticky = error;
  drop_work();
}

// Device memory may be touched while work runs alone: under AddressSanitizer the host that reads it directly
// is caught.
void open_device_memory(bool open) {
  for (const auto& [data, allocation] : runtime().allocations) {
    if (allocation.type != cudaMemoryTypeDevice) continue;
    (open ? sanitizer::unpoison : sanitizer::poison)(const_cast<char*>(data), allocation.bytes);
  }
}

// Runs the first work of one of the streams that have some and need not wait; false if there is none.
bool step() {
  Runtime& self = runtime();
  std::vector<std::shared_ptr<CUstream_st>> candidates;
  for (const auto& stream : self.streams) {
    if (stream->queue.empty()) continue;
    const auto& after = stream->queue.front().after;
    if (std::all_of(after.begin(), after.end(), [](const Mark& mark) { return mark.reached(); })) {
      candidates.push_back(stream);
    }
  }
  if (candidates.empty()) return false;
  const auto choice = eager() ? 0 : self.random.below(static_cast<std::uint32_t>(candidates.size()));
  CUstream_st& stream = *candidates[choice];
  const Work work = std::move(stream.queue.front());
  stream.queue.pop_front();
  ++stream.done;
  open_device_memory(true);
  try {
    if (work.run) work.run();
  } catch (...) {
    self.failure = std::current_exception();
    poison(cudaErrorLaunchFailure);
  }
  open_device_memory(false);
  std::erase_if(self.streams, [](const auto& s) { return s->destroyed && s->queue.empty(); });
  return true;
}

void run_all() {
  while (step()) {
  }
}

void enqueue(const std::shared_ptr<CUstream_st>& stream, std::function<void()> run, const Mark& after = {}) {
  Work work{std::move(run), {}};
  if (!after.reached()) work.after.push_back(after);
  const auto& null_stream = device(stream->device).null_stream;
  if (stream == null_stream) {
    for (const auto& other : runtime().streams) {
      if (other != stream && other->blocking && other->device == stream->device)
        work.after.push_back({other, other->queued});
    }
  } else if (stream->blocking) {
    work.after.push_back({null_stream, null_stream->queued});
  }
  stream->queue.push_back(std::move(work));
  ++stream->queued;
  if (eager()) run_all();
  while (!eager() && runtime().random.below(3) == 0 && step()) {  // a device may be fast, too
  }
}

// Work that ends in a sticky error where `fault` asks for it.
std::function<void()> unless(const Fault& fault, std::uint64_t count, std::function<void()> run) {
  if (!fault.hits(count)) return run;
  return [] { poison(cudaErrorIllegalAddress); };
}

// Every function of the API is a call: one at a time, refused without a device and after a sticky error. What
// a kernel threw comes out of the next call, unless an exception is on its way already. Clean-up, which
// destructors do, neither throws nor is refused after a sticky error, though it returns it.
enum class Kind { kUse, kCleanUp };

void rethrow_failure() {
  if (runtime().failure && std::uncaught_exceptions() == 0) {
    std::rethrow_exception(std::exchange(runtime().failure, nullptr));
  }
}

template <typename F>
cudaError_t call(F&& function, Kind kind = Kind::kUse) {
  Runtime& self = runtime();
  const std::lock_guard lock(self.mutex);
  if (self.seeded_with != self.config.seed) self.random = Random(self.seeded_with = self.config.seed);
  if (kind == Kind::kUse) rethrow_failure();
  cudaError_t error = self.config.devices < 0    ? cudaErrorInsufficientDriver
                      : self.config.devices == 0 ? cudaErrorNoDevice
                                                 : cudaSuccess;
  if (error == cudaSuccess && (self.sticky == cudaSuccess || kind == Kind::kCleanUp)) error = function(self);
  if (kind == Kind::kUse) rethrow_failure();
  if (self.sticky != cudaSuccess) error = self.sticky;
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

template <typename Reached>
cudaError_t synchronize(Runtime& self, Reached&& reached) {
  if (self.config.fail_synchronize.hits(++self.counters.synchronisations)) poison(cudaErrorIllegalAddress);
  while (!reached() && step()) {
  }
  return cudaSuccess;
}

// For the queries: time passes, so that a loop of them comes to its end.
cudaError_t query(const Mark& mark) {
  if (mark.reached()) return cudaSuccess;
  step();
  return mark.reached() ? cudaSuccess : cudaErrorNotReady;
}

// --- Memory
// ----------------------------------------------------------------------------------------------------------

// The allocation that holds `pointer`, null if none.
const std::pair<const char* const, Allocation>* find_allocation(const void* pointer) {
  const auto& allocations = runtime().allocations;
  auto after = allocations.upper_bound(static_cast<const char*>(pointer));
  if (after == allocations.begin()) return nullptr;
  --after;
  const std::size_t offset = static_cast<std::size_t>(static_cast<const char*>(pointer) - after->first);
  return offset < after->second.bytes ? &*after : nullptr;
}
cudaMemoryType memory_type(const void* pointer) {
  const auto* found = find_allocation(pointer);
  return found == nullptr ? cudaMemoryTypeUnregistered : found->second.type;
}
// Pageable memory, which the emulator knows nothing of, or a range inside one allocation.
bool is_whole(const void* pointer, std::size_t bytes) {
  const auto* found = find_allocation(pointer);
  return found == nullptr || static_cast<const char*>(pointer) + bytes <= found->first + found->second.bytes;
}

cudaError_t allocate(Runtime& self, void** pointer, std::size_t bytes, cudaMemoryType type) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (self.config.fail_allocation.hits(++self.counters.allocations)) return cudaErrorMemoryAllocation;
  if (bytes == 0) return cudaSuccess;
  Device& owner = device(current_device);
  if (type == cudaMemoryTypeDevice) {
    if (bytes > self.config.memory) return cudaErrorMemoryAllocation;
    if (owner.used + bytes > self.config.memory) run_all();  // cudaFreeAsync may be on its way
    if (owner.used + bytes > self.config.memory) return cudaErrorMemoryAllocation;
  }
  if (posix_memalign(pointer, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xFF, bytes);
  self.allocations[static_cast<char*>(*pointer)] = {bytes, type, current_device};
  if (type == cudaMemoryTypeDevice) {
    owner.used += bytes;
    owner.highest = std::max(owner.highest, owner.used);
    sanitizer::poison(*pointer, bytes);
  }
  return cudaSuccess;
}

void release(void* pointer) {
  const auto found = runtime().allocations.find(static_cast<char*>(pointer));
  const Allocation allocation = found->second;
  runtime().allocations.erase(found);
  if (allocation.type == cudaMemoryTypeDevice) device(allocation.device).used -= allocation.bytes;
  sanitizer::unpoison(pointer, allocation.bytes);
  std::memset(pointer, 0xFF, allocation.bytes);
  std::free(pointer);
}

// The allocation that begins at `pointer`, if it is of this type and not about to be freed already.
Allocation* owned(const void* pointer, cudaMemoryType type) {
  const auto found = runtime().allocations.find(static_cast<const char*>(pointer));
  const bool fits =
      found != runtime().allocations.end() && found->second.type == type && !found->second.freeing;
  return fits ? &found->second : nullptr;
}

// A kind that contradicts the pointers is an error, as is a range that leaves its allocation.
bool is_valid_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = memory_type(to) == cudaMemoryTypeDevice,
             from_device = memory_type(from) == cudaMemoryTypeDevice;
  const int actual = (from_device ? 2 : 0) + (to_device ? 1 : 0);
  return (kind == cudaMemcpyDefault || kind == actual) && is_whole(to, bytes) && is_whole(from, bytes);
}

cudaError_t copy(Runtime& self, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                 const std::shared_ptr<CUstream_st>& stream) {
  ++self.counters.copies;
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  if (to == nullptr || from == nullptr || !is_valid_copy(to, from, bytes, kind)) return cudaErrorInvalidValue;
  const cudaMemoryType to_type = memory_type(to), from_type = memory_type(from);
  enqueue(stream, unless(self.config.fail_copy, self.counters.copies, [=] {
            if (memory_type(to) != to_type || memory_type(from) != from_type) {
              throw std::runtime_error("a queued copy's memory was freed before it ran");
            }
            std::memmove(to, from, bytes);
          }));
  return cudaSuccess;
}

cudaError_t fill(Runtime& self, void* pointer, int value, std::size_t bytes,
                 const std::shared_ptr<CUstream_st>& stream) {
  ++self.counters.copies;
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  if (memory_type(pointer) != cudaMemoryTypeDevice || !is_whole(pointer, bytes)) return cudaErrorInvalidValue;
  enqueue(stream, unless(self.config.fail_copy, self.counters.copies, [=] {
            if (memory_type(pointer) != cudaMemoryTypeDevice) {
              throw std::runtime_error("a queued memset's memory was freed before it ran");
            }
            std::memset(pointer, value, bytes);
          }));
  return cudaSuccess;
}

constexpr int kSharedPerBlock = 48 << 10, kSharedOptin = 227 << 10, kSharedPerProcessor = 228 << 10;

bool is_device(Runtime& self, int index) {
  return index >= 0 && index < self.config.devices;
}

}  // namespace

Config& config() {
  return runtime().config;
}
Counters counters() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().counters;
}

void reset() {
  Runtime& self = runtime();
  const std::lock_guard lock(self.mutex);
  drop_work();
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
  for (const auto& stream : self.streams) {
    if (!stream->destroyed && stream != device(stream->device).null_stream)
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
    const auto stream = find_stream(config.stream);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const std::uint64_t seed = self.config.seed == 0 ? 0 : self.random.next() | 1;
    enqueue(stream, unless(self.config.fail_launch, ++self.counters.launches,
                           [=, bytes = config.dynamicSmemBytes, body = std::move(thread)] {
                             run_grid(grid, block, bytes, seed, body);
                           }));
    return cudaSuccess;
  });
}

cudaError_t run_on_stream(cudaStream_t handle, std::function<void()> run) {
  return call([&](Runtime& self) {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    enqueue(stream, unless(self.config.fail_launch, ++self.counters.launches, std::move(run)));
    return cudaSuccess;
  });
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

// --- Errors, devices
// -------------------------------------------------------------------------------------------------

const char* cudaGetErrorName(cudaError_t error) {
#define CUDA_EMULATOR_NAME(name, number, text) \
  if (error == name) return #name;
  CUDA_EMULATOR_ERRORS(CUDA_EMULATOR_NAME)
  return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
#define CUDA_EMULATOR_TEXT(name, number, text) \
  if (error == name) return text;
  CUDA_EMULATOR_ERRORS(CUDA_EMULATOR_TEXT)
  return "unrecognized error code";
}
cudaError_t cudaGetLastError() {
  return std::exchange(last_error, runtime().sticky);
}
cudaError_t cudaPeekAtLastError() {
  return last_error;
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
    if (!is_device(self, index)) return cudaErrorInvalidDevice;
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
    if (!is_device(self, index)) return cudaErrorInvalidDevice;
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
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedPerBlock;
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = kSharedPerProcessor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kSharedOptin;
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = p.memoryPoolsSupported;
      break;
    default:
      return last_error = cudaErrorInvalidValue;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return call([](Runtime& self) {
    return synchronize(self, [&] {
      return std::all_of(self.streams.begin(), self.streams.end(), [](const auto& stream) {
        return stream->device != current_device || stream->queue.empty();
      });
    });
  });
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call([&](Runtime& self) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || value > kSharedOptin) return cudaErrorInvalidValue;
    self.dynamic_limits[kernel] = value;
    return cudaSuccess;
  });
}

// --- Memory
// ----------------------------------------------------------------------------------------------------------

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call([&](Runtime& self) {
    *total = self.config.memory;
    *free = self.config.memory - std::min(self.config.memory, device(current_device).used);
    return cudaSuccess;
  });
}
cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return call([&](Runtime& self) { return allocate(self, pointer, bytes, cudaMemoryTypeDevice); });
}
cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  return call([&](Runtime& self) {
    if (find_stream(stream) == nullptr) return cudaErrorInvalidResourceHandle;
    return allocate(self, pointer, bytes, cudaMemoryTypeDevice);
  });
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes, unsigned) {
  return call([&](Runtime& self) { return allocate(self, pointer, bytes, cudaMemoryTypeHost); });
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
  return cudaMallocHost(pointer, bytes, flags);
}
cudaError_t cudaFree(void* pointer) {
  return call(
      [&](Runtime&) {
        if (pointer == nullptr) return cudaSuccess;
        run_all();  // as on a device, where it waits for all work
        if (owned(pointer, cudaMemoryTypeDevice) == nullptr) return cudaErrorInvalidValue;
        release(pointer);
        return cudaSuccess;
      },
      Kind::kCleanUp);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
  return call(
      [&](Runtime& self) {
        if (pointer == nullptr) return cudaSuccess;
        Allocation* allocation = owned(pointer, cudaMemoryTypeDevice);
        const auto stream = find_stream(handle);
        if (allocation == nullptr) return cudaErrorInvalidValue;
        if (stream == nullptr) return cudaErrorInvalidResourceHandle;
        if (self.sticky != cudaSuccess) {
          release(pointer);
          return cudaSuccess;
        }
        allocation->freeing = true;
        enqueue(stream, [=] { release(pointer); });
        return cudaSuccess;
      },
      Kind::kCleanUp);
}
cudaError_t cudaFreeHost(void* pointer) {
  return call(
      [&](Runtime&) {
        if (pointer == nullptr) return cudaSuccess;
        if (owned(pointer, cudaMemoryTypeHost) == nullptr) return cudaErrorInvalidValue;
        release(pointer);
        return cudaSuccess;
      },
      Kind::kCleanUp);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return call([&](Runtime& self) { return copy(self, to, from, bytes, kind, find_stream(stream)); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return call([&](Runtime& self) {
    const auto stream = find_stream(nullptr);
    const cudaError_t error = copy(self, to, from, bytes, kind, stream);
    if (error != cudaSuccess) return error;
    return synchronize(self, [&] { return stream->queue.empty(); });
  });
}
cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  return call([&](Runtime& self) { return fill(self, pointer, value, bytes, find_stream(stream)); });
}
cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
  return cudaMemsetAsync(pointer, value, bytes, nullptr);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call([&](Runtime&) {
    const auto* found = find_allocation(pointer);
    void* const address = const_cast<void*>(pointer);
    *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, address};
    if (found == nullptr) return cudaSuccess;
    const bool on_device = found->second.type == cudaMemoryTypeDevice;
    *attributes = {found->second.type, found->second.device, address, on_device ? nullptr : address};
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int index) {
  return call([&](Runtime& self) {
    if (!is_device(self, index)) return cudaErrorInvalidDevice;
    *pool = &device(index).pool;
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call([&](Runtime&) {
    const std::uint64_t number = *static_cast<std::uint64_t*>(value);
    Device& owner = device(pool->device);
    if (attribute == cudaMemPoolAttrReleaseThreshold) {
      pool->release_threshold = number;
    } else if (attribute == cudaMemPoolAttrUsedMemHigh && number == 0) {
      owner.highest = owner.used;
    } else {
      return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call([&](Runtime&) {
    const Device& owner = device(pool->device);
    const bool highest =
        attribute == cudaMemPoolAttrUsedMemHigh || attribute == cudaMemPoolAttrReservedMemHigh;
    *static_cast<std::uint64_t*>(value) = attribute == cudaMemPoolAttrReleaseThreshold
                                              ? pool->release_threshold
                                          : highest ? owner.highest
                                                    : owner.used;
    return cudaSuccess;
  });
}

// --- Streams, events
// -------------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return call([&](Runtime& self) {
    auto created = std::make_shared<CUstream_st>();
    created->device = current_device;
    created->blocking = (flags & cudaStreamNonBlocking) == 0;
    *stream = created.get();
    self.streams.push_back(std::move(created));
    return cudaSuccess;
  });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call(
      [&](Runtime& self) {
        for (const auto& candidate : self.streams) {
          if (stream == nullptr || candidate.get() != stream || candidate->destroyed) continue;
          candidate->destroyed = true;  // its work still runs
          if (candidate->queue.empty()) std::erase(self.streams, std::shared_ptr(candidate));
          return cudaSuccess;
        }
        return cudaErrorInvalidResourceHandle;
      },
      Kind::kCleanUp);
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call([&](Runtime& self) {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return synchronize(self, [&] { return stream->queue.empty(); });
  });
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call([&](Runtime&) {
    const auto stream = find_stream(handle);
    return stream == nullptr ? cudaErrorInvalidResourceHandle : query({stream, stream->queued});
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return call([&](Runtime& self) {
    const auto stream = find_stream(handle);
    if (stream == nullptr || !self.events.contains(event)) return cudaErrorInvalidResourceHandle;
    enqueue(stream, nullptr, event->mark);
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call([&](Runtime& self) {
    *event = new CUevent_st{(flags & cudaEventDisableTiming) == 0, {}, nullptr};
    self.events.insert(*event);
    return cudaSuccess;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(
      [&](Runtime& self) {
        if (self.events.erase(event) == 0) return cudaErrorInvalidResourceHandle;
        delete event;
        return cudaSuccess;
      },
      Kind::kCleanUp);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return call([&](Runtime& self) {
    const auto stream = find_stream(handle);
    if (stream == nullptr || !self.events.contains(event)) return cudaErrorInvalidResourceHandle;
    event->time = std::make_shared<Clock::time_point>();
    event->mark = {stream, stream->queued + 1};
    enqueue(stream, [time = event->time] { *time = Clock::now(); });
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&](Runtime& self) {
    if (!self.events.contains(event)) return cudaErrorInvalidResourceHandle;
    return synchronize(self, [&] { return event->mark.reached(); });
  });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&](Runtime& self) {
    return self.events.contains(event) ? query(event->mark) : cudaErrorInvalidResourceHandle;
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call([&](Runtime& self) {
    for (const cudaEvent_t event : {start, end}) {
      if (!self.events.contains(event) || !event->timed || event->time == nullptr)
        return cudaErrorInvalidResourceHandle;
    }
    if (!start->mark.reached() || !end->mark.reached()) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
    return cudaSuccess;
  });
}
