// kernels/primitives.hpp for the emulator, by algorithms of the standard library in a kernel of one thread:
// it runs when its stream gets there, as CUB's kernels do. The workspace is written all over.
#include "kernels/primitives.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/device.hpp"

namespace afp::kernels {
namespace {

// Differs from count to count, so that a caller who asks for another's is found out.
std::size_t workspace_bytes(std::size_t count) { return 16 + 8 * count; }

cudaError_t check(const Workspace& workspace, std::size_t count) {
  return workspace.memory == nullptr || workspace.bytes < workspace_bytes(count) ? cudaErrorInvalidValue
                                                                                 : cudaSuccess;
}

__global__ void sum_kernel(Workspace workspace, const std::uint64_t* values, std::uint64_t* sums,
                           std::size_t count) {
  std::memset(workspace.memory, 0xEE, workspace.bytes);
  std::exclusive_scan(values, values + count, sums, std::uint64_t{0});
}

__global__ void arg_min_kernel(Workspace workspace, const double* costs, const std::uint32_t* offsets,
                               std::size_t segments, SegmentMinimum* minima) {
  std::memset(workspace.memory, 0xEE, workspace.bytes);
  for (std::size_t s = 0; s < segments; ++s) {
    const double* const least = std::min_element(costs + offsets[s], costs + offsets[s + 1]);
    minima[s] = {static_cast<std::uint32_t>(least - costs) - offsets[s], *least};
  }
}

}  // namespace

cudaError_t exclusive_sum_bytes(std::size_t count, std::size_t* bytes) {
  *bytes = workspace_bytes(count);
  return cudaSuccess;
}
cudaError_t exclusive_sum(const Workspace& workspace, const std::uint64_t* values, std::uint64_t* sums,
                          std::size_t count, cudaStream_t stream) {
  if (const cudaError_t error = check(workspace, count); error != cudaSuccess) return error;
  return launch(sum_kernel, 1, 1, 0, stream, workspace, values, sums, count);
}

cudaError_t segmented_arg_min_bytes(std::size_t segments, std::size_t* bytes) {
  *bytes = workspace_bytes(segments);
  return cudaSuccess;
}
cudaError_t segmented_arg_min(const Workspace& workspace, const double* costs, const std::uint32_t* offsets,
                              std::size_t segments, SegmentMinimum* minima, cudaStream_t stream) {
  if (const cudaError_t error = check(workspace, segments); error != cudaSuccess) return error;
  return launch(arg_min_kernel, 1, 1, 0, stream, workspace, costs, offsets, segments, minima);
}

}  // namespace afp::kernels
