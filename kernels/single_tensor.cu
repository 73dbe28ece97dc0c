// One thread each. Ceiling: the launch.
#include "kernels/device.hpp"
#include "kernels/single_tensor.hpp"

namespace afp::kernels {
namespace {

__global__ void begin_extent_kernel(RawExtent* extent) {
  *extent = RawExtent{};
}

__global__ void write_tensor_kernel(SingleTensor tensor, SingleTensor* to) {
  *to = tensor;
}

__global__ void store_scale_kernel(const TensorScale* chosen, std::uint8_t* byte, float* tensor_scale) {
  *byte = chosen->byte;
  if (tensor_scale != nullptr) *tensor_scale = chosen->tensor_scale;
}

}  // namespace

cudaError_t begin_extent(RawExtent* extent, cudaStream_t stream) {
  return launch(begin_extent_kernel, 1, 1, 0, stream, extent);
}

cudaError_t write_tensor(const SingleTensor& tensor, SingleTensor* to, cudaStream_t stream) {
  return launch(write_tensor_kernel, 1, 1, 0, stream, tensor, to);
}

cudaError_t store_scale(const TensorScale* chosen, std::uint8_t* byte, float* tensor_scale,
                        cudaStream_t stream) {
  return launch(store_scale_kernel, 1, 1, 0, stream, chosen, byte, tensor_scale);
}

}  // namespace afp::kernels
