// make_cuda_backend: holds the place of the CUDA backend.
#include "afp/error.hpp"
#include "host/cuda/cuda_backend.hpp"

namespace afp {

std::unique_ptr<Backend> make_cuda_backend(std::span<const int>, int) {
  throw DeviceError("the CUDA backend has no kernels yet; expected the backend cpu");
}

}  // namespace afp
