// The state of the emulated runtime, shared by the files that implement its API.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda_runtime_api.h"
#include "random.hpp"

namespace cuda_emulator {

using StreamPointer = std::shared_ptr<CUstream_st>;

// Reached when `count` pieces of work of a stream are done.
struct Mark {
  StreamPointer stream;
  std::uint64_t count = 0;
  bool reached() const;
};
struct Work {
  std::function<void()> run;
  std::vector<Mark> after;
};
struct Allocation {
  std::size_t bytes;
  cudaMemoryType type;
  int device;
  bool freeing = false;  // cudaFreeAsync is queued
};

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
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
};
struct CUmemPoolHandle_st {  // a device's memory
  std::uint64_t release_threshold = 0, used = 0, highest = 0;
};

namespace cuda_emulator {

struct Device {
  StreamPointer null_stream;
  CUmemPoolHandle_st memory;
};

struct Runtime {
  Runtime();
  std::mutex mutex;
  Config config;
  Counters counters;
  std::uint64_t seeded_with;
  Random random;
  std::map<int, Device> devices;
  std::vector<StreamPointer> streams;
  std::set<cudaEvent_t> events;
  std::map<const char*, Allocation> allocations;
  std::map<const void*, int> dynamic_limits;  // of kernels that asked for more than 48 KiB
  cudaError_t sticky = cudaSuccess;
  std::exception_ptr failure;  // what a kernel threw

  bool eager() const { return config.seed == 0 || config.eager; }
  bool is_device(int index) const { return index >= 0 && index < config.devices; }
  Device& device(int index);
  // Null where there is no such stream, or where it is another device's than the current one.
  StreamPointer find_stream(cudaStream_t handle);

  void enqueue(const StreamPointer& stream, std::function<void()> run, const Mark& after = {});
  // Work that ends in a sticky error where `fault` asks for it.
  std::function<void()> unless(const Fault& fault, std::uint64_t count, std::function<void()> run);
  // Runs the first work of one of the streams that have some and need not wait; false if there is none.
  bool step();
  void run_all();
  void synchronize(const std::function<bool()>& reached);
  cudaError_t query(const Mark& mark);
  void drop_work();
  void poison(cudaError_t error);  // from now on every call returns it
  void rethrow_failure();

  const std::pair<const char* const, Allocation>* find_allocation(const void* pointer) const;
  cudaMemoryType memory_type(const void* pointer) const;
  void release(const void* pointer);
  void open_device_memory(bool open);
};

Runtime& runtime();
extern constinit thread_local int current_device;
extern constinit thread_local cudaError_t last_error;

// Every function of the API is a call: one at a time, refused without a device and after a sticky error. What
// a kernel threw comes out of the next one. Clean-up, which destructors do, neither throws nor is refused
// after a sticky error, though it returns it.
enum class Kind { kUse, kCleanUp };

template <typename F>
cudaError_t call(F&& function, Kind kind = Kind::kUse) {
  Runtime& self = runtime();
  const std::lock_guard lock(self.mutex);
  if (self.seeded_with != self.config.seed) self.random = Random(self.seeded_with = self.config.seed);
  if (kind == Kind::kUse) self.rethrow_failure();
  cudaError_t error = self.config.devices < 0    ? cudaErrorInsufficientDriver
                      : self.config.devices == 0 ? cudaErrorNoDevice
                                                 : cudaSuccess;
  if (error == cudaSuccess && (self.sticky == cudaSuccess || kind == Kind::kCleanUp)) error = function(self);
  if (kind == Kind::kUse) self.rethrow_failure();
  if (self.sticky != cudaSuccess) error = self.sticky;
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

}  // namespace cuda_emulator
