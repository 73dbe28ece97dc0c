// CudaMachine: what a machine offers the CUDA backend; and which of it a BackendChoice takes.
#pragma once

#include <string>
#include <vector>

#include "afp/backend_choice.hpp"

namespace afp {

// Kernels are compiled for GPUs of compute capability 8.0 (Ampere) and above.
inline constexpr int kLeastComputeMajor = 8;

struct CudaMachine {
  struct Device {
    std::string name;
    int compute_major = 0, compute_minor = 0;

    bool is_usable() const { return compute_major >= kLeastComputeMajor; }
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
