// Bodies of cuda_backend.hpp in a build without CUDA.
#include "afp/error.hpp"
#include "host/cuda/cuda_backend.hpp"

namespace afp {

std::string cuda_build() {
  return "";
}

CudaMachine cuda_machine() {
  return {.in_build = false, .problem = {}, .devices = {}};
}

std::unique_ptr<Backend> make_cuda_backend(std::span<const int>, int) {
  throw UsageError(unavailable(cuda_machine()));
}

std::unique_ptr<ChainRunner> make_cuda_chain_runner(int) {
  throw UsageError(unavailable(cuda_machine()));
}

}  // namespace afp
