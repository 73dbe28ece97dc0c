// CudaMachine: what a machine offers the CUDA backend; and which of it a BackendChoice takes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "afp/backend_choice.hpp"

namespace afp {

// Kernels are compiled for GPUs of compute capability 8.0 (Ampere) and above, and count in so much shared
// memory of a block: what 8.0 and 9.0 give, while 8.6, 8.9 and 12.0 have 99 KiB.
inline constexpr int kLeastComputeMajor = 8;
inline constexpr std::size_t kLeastBlockShared = 163 << 10;

struct CudaMachine {
  struct Device {
    std::string name;
    int compute_major = 0, compute_minor = 0;
    std::size_t block_shared = kLeastBlockShared;  // bytes, the most that a block may ask for
    bool has_pools = true;                         // for memory in the order of streams

    bool is_usable() const {
      return compute_major >= kLeastComputeMajor && block_shared >= kLeastBlockShared && has_pools;
    }
  };

  bool in_build = true;         // else this build has no CUDA backend, and nothing below counts
  std::string problem;          // why no device can be reached, one line; empty: the driver answers
  std::vector<Device> devices;  // by index
};

// The devices to use, one at least; none: the CPU, and why not CUDA where that was left open.
struct ChosenDevices {
  std::vector<int> indices;
  std::string why_not_cuda;
};

// Throws UsageError where the choice contradicts itself, names a device that is not there, or wants CUDA of a
// build without it; DeviceError where it wants CUDA and the machine has no device for it.
ChosenDevices choose_devices(const BackendChoice& choice, const CudaMachine& machine);

// Why the machine has no device that can be used, one line; empty where it has one.
std::string unavailable(const CudaMachine& machine);

}  // namespace afp
