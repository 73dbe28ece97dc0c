// Bodies of device.hpp.
#include "host/cuda/device.hpp"

namespace afp::cuda {

Device::Device(int index) : index_(index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "asking for a device's properties");
  name_ = properties.name;
  capability_ = 10 * properties.major + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
}

}  // namespace afp::cuda
