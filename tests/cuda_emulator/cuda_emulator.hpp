// A CUDA execution emulator: kernels compiled by the host compiler run with one fiber a CUDA thread, streams
// are queues that run late and in a random order. This header is what a test needs to steer it and what the
// CUDA headers beside it build upon; README.md says which bugs it shows and which it cannot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};

namespace cuda_emulator {

// The number of a call, from 1 on, that fails: that call alone, or all from it on. 0: none.
struct Fault {
  std::uint64_t call = 0;
  bool onwards = false;
  bool hits(std::uint64_t count) const { return call != 0 && (onwards ? count >= call : count == call); }
};

// Read from the environment at first use: CUDA_EMULATOR_SEED=7, _EAGER=1, _DEVICES=-1 (no driver),
// _CAPABILITY=7.5, _MEMORY=bytes, _FAIL_ALLOCATION=3 (that one) or 3+ (from it on), _FAIL_LAUNCH, _FAIL_COPY,
// _FAIL_SYNCHRONIZE. CUDA_EMULATOR_REPORT=file: when the program ends, its counters and what it has not freed
// are written there.
struct Config {
  std::uint64_t seed =
      0;               // 0: threads, blocks and streams in order; else their order is a random function of it
  bool eager = false;  // work runs when it is queued, as it always does with seed 0
  int devices = 1;     // 0: no device; below 0: no driver
  int major = 9, minor = 0;
  std::size_t memory = std::size_t{16} << 30;  // of each device, in bytes
  int processors = 4;
  Fault fail_allocation{};                         // cudaErrorMemoryAllocation
  Fault fail_launch{}, fail_copy{}, fail_synchronize{};  // a sticky cudaErrorIllegalAddress, when the work runs
};

// Calls so far. Copies are cudaMemcpy* and cudaMemset*, synchronisations cuda*Synchronize and cudaMemcpy.
struct Counters {
  std::uint64_t allocations = 0, launches = 0, copies = 0, synchronisations = 0;
};

Config& config();
Counters counters();

// As in a new process: drops queued work and the sticky error, sets the counters to 0. Streams, events and
// allocations stay, and so does the configuration.
void reset();

// One line for each allocation, stream and event that has not been freed; empty if there is none.
std::string leaks();

// --- What the device functions of cuda_runtime.h are made of -----------------------------------------------

// A place in a kernel, for messages.
struct Place {
  const char* file;
  unsigned line;
  static constexpr Place here(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }
  bool operator==(const Place& other) const {
    return line == other.line && (file == other.file || std::string_view(file) == other.file);
  }
};

// Waits for all threads of the block; the number of them whose `predicate` was true.
int block_barrier(const char* name, bool predicate, Place place);

// Waits for the lanes in `mask`; the last to come calls combine(lanes, mask), where lanes[i] is what lane i
// gave as `own`. Only an ordering one makes what a lane wrote visible to the others.
void warp_meeting(const char* name, unsigned mask, void* own,
                  void (*combine)(void* const* lanes, unsigned mask), bool ordering, Place place);
unsigned lane();
void fence();

// A shared array: memory of its own for each block, filled with 0xFF.
struct SharedArray {
  std::uint64_t block = 0;
  void* data = nullptr;
};
void* shared_memory(SharedArray& array, std::size_t bytes, std::size_t alignment);
void* dynamic_shared_memory();

// Runs a grid; throws std::runtime_error with place, thread and block where the kernel breaks a rule.
void run_grid(dim3 grid, dim3 block, std::size_t dynamic_bytes, std::uint64_t seed,
              const std::function<void()>& thread);

}  // namespace cuda_emulator
