// The text of CUDA errors.
#include "host/cuda/check.hpp"

namespace afp::cuda {

void check(cudaError_t error, const char* doing, const std::source_location& place) {
  if (error != cudaSuccess) fail(error, doing, place);
}

void fail(cudaError_t error, const std::string& doing, const std::source_location& place) {
  const std::string text = std::string(doing) + ": " + cudaGetErrorString(error) + " (" +
                           cudaGetErrorName(error) + ", " + place.file_name() + ":" +
                           std::to_string(place.line()) + ")";
  // A failed allocation is over with; the runtime would report it once more.
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    throw OutOfMemory(text);
  }
  throw DeviceError(text);
}

}  // namespace afp::cuda
