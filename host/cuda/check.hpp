// Errors of the CUDA runtime as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "afp/error.hpp"

namespace afp::cuda {

// Device memory or pinned host memory ran out: smaller pieces may do.
class OutOfMemory : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

// The place of a call. (clang 14 has no std::source_location.)
struct Place {
  const char* file;
  unsigned line;
  static constexpr Place here(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }
};

// Throws OutOfMemory or DeviceError for anything but cudaSuccess: what was being done ("copying 4096 bytes to
// device 0"), the runtime's words and name for the error, and the place.
void check(cudaError_t error, const char* doing, Place place = Place::here());
[[noreturn]] void fail(cudaError_t error, const std::string& doing, Place place = Place::here());

}  // namespace afp::cuda
