// The text of CUDA errors.
#include "host/cuda/check.hpp"

#include <string_view>

namespace afp::cuda {
namespace {

// From the root of this project on, wherever it was built.
std::string_view project_path(std::string_view file) {
  const std::size_t root = file.rfind("host/cuda/");
  return root == std::string_view::npos ? file : file.substr(root);
}

}  // namespace

void check(cudaError_t error, const char* doing, const std::source_location& place) {
  if (error != cudaSuccess) fail(error, doing, place);
}

void fail(cudaError_t error, const std::string& doing, const std::source_location& place) {
  const std::string text = std::string(doing) + ": " + cudaGetErrorString(error) + " (" +
                           cudaGetErrorName(error) + ", " + std::string(project_path(place.file_name())) +
                           ":" + std::to_string(place.line()) + ")";
  (void)cudaGetLastError();  // it has been told; an error that spoils the device stays anyway
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(text);
  throw DeviceError(text);
}

}  // namespace afp::cuda
