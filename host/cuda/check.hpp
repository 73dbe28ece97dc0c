// Errors of the CUDA runtime as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include <source_location>
#include <string>

#include "afp/error.hpp"

namespace afp::cuda {

// Device memory or pinned host memory ran out: smaller pieces may do.
class OutOfMemory : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

// Throws OutOfMemory or DeviceError for anything but cudaSuccess: what was being done ("copying 4096 bytes to
// device 0"), the runtime's words and name for the error, and the place.
void check(cudaError_t error, const char* doing,
           const std::source_location& place = std::source_location::current());
[[noreturn]] void fail(cudaError_t error, const std::string& doing,
                       const std::source_location& place = std::source_location::current());

}  // namespace afp::cuda
