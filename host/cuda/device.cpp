// Bodies of device.hpp.
#include "host/cuda/device.hpp"

namespace afp::cuda {

CurrentDevice::CurrentDevice(int index) {
  check(cudaGetDevice(&former_), "asking for the current device");
  if (former_ != index) check(cudaSetDevice(index), "choosing a device");
}

CurrentDevice::~CurrentDevice() {
  int now = former_;
  if (cudaGetDevice(&now) == cudaSuccess && now != former_) (void)cudaSetDevice(former_);
}

Device::Device(int index) : index_(index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "asking for a device's properties");
  name_ = properties.name;
  capability_ = 10 * properties.major + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
}

}  // namespace afp::cuda
