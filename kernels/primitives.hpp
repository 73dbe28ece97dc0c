// Device-wide algorithms on whole arrays: sums of what comes before, the least of each segment. All
// pointers are to device memory; outputs overlap no input. Each is ordered on its stream, allocates nothing
// and works in `workspace`, of the size that its ..._bytes function tells for the same counts.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace afp::kernels {

struct Workspace {
  void* memory;  // not null
  std::size_t bytes;
};

// sums[i] = values[0] + ... + values[i - 1], of `count` numbers. To learn the total, too, give one value
// more.
cudaError_t exclusive_sum_bytes(std::size_t count, std::size_t* bytes);
cudaError_t exclusive_sum(const Workspace& workspace, const std::uint64_t* values, std::uint64_t* sums,
                          std::size_t count, cudaStream_t stream);

// The least cost of each segment costs[offsets[s]] .. costs[offsets[s + 1] - 1], and its index within the
// segment: the first of equal ones. Costs are no NaN, no segment is empty, all are fewer than 2^31 costs.
struct SegmentMinimum {
  std::uint32_t index;
  double cost;
};
cudaError_t segmented_arg_min_bytes(std::size_t segments, std::size_t* bytes);
cudaError_t segmented_arg_min(const Workspace& workspace, const double* costs, const std::uint32_t* offsets,
                              std::size_t segments, SegmentMinimum* minima, cudaStream_t stream);

}  // namespace afp::kernels
