// What the CUDA driver says of itself and its devices.
#include <cuda_runtime.h>

#include "host/cuda/cuda_backend.hpp"

namespace afp {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string named(cudaError_t error) {
  return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
}

std::string driver_problem(cudaError_t error) {
  int driver = 0, runtime = 0;
  if (error == cudaErrorInsufficientDriver && cudaRuntimeGetVersion(&runtime) == cudaSuccess &&
      cudaDriverGetVersion(&driver) == cudaSuccess) {
    if (driver == 0) return "no NVIDIA driver found, expected one for CUDA " + version_text(runtime);
    return "the NVIDIA driver is for CUDA " + version_text(driver) + ", expected one for " +
           version_text(runtime) + " or newer";
  }
  if (error == cudaErrorNoDevice) return "no CUDA device found, expected one at least";
  return "the NVIDIA driver does not answer: " + named(error);
}

}  // namespace

std::string cuda_build() {
  return AFP_CUDA_BUILD;
}

CudaMachine cuda_machine() {
  CudaMachine machine;
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  for (int i = 0; error == cudaSuccess && i < count; ++i) {
    cudaDeviceProp properties{};
    error = cudaGetDeviceProperties(&properties, i);
    machine.devices.push_back({properties.name, properties.major, properties.minor,
                               properties.sharedMemPerBlockOptin, properties.memoryPoolsSupported != 0});
  }
  if (error != cudaSuccess) {
    (void)cudaGetLastError();  // it has been told, and is not to be found again by who asks next
    machine.problem = driver_problem(error);
    machine.devices.clear();
  }
  return machine;
}

}  // namespace afp
