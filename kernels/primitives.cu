// Device-wide algorithms by CUB, kept to this file: it takes long to compile and its block algorithms are
// PTX. Where kernels run emulated, tests/cuda_emulator/primitives.cpp takes its place.
#include <thrust/iterator/tabulate_output_iterator.h>

#include <cub/device/device_scan.cuh>
#include <cub/device/device_segmented_reduce.cuh>

#include "kernels/primitives.hpp"

namespace afp::kernels {
namespace {

// What CUB gives for segment `index`, as it is to be stored.
struct StoreMinimum {
  SegmentMinimum* minima;
  __device__ void operator()(std::ptrdiff_t index, const cub::KeyValuePair<int, double>& pair) const {
    minima[index] = {static_cast<std::uint32_t>(pair.key), pair.value};
  }
};

// CUB's way of asking for the size: the same call without memory.
template <class Algorithm>
cudaError_t bytes_of(std::size_t* bytes, const Algorithm& algorithm) {
  *bytes = 0;
  return algorithm(nullptr, *bytes);
}
template <class Algorithm>
cudaError_t run(const Workspace& workspace, const Algorithm& algorithm) {
  if (workspace.memory == nullptr) return cudaErrorInvalidValue;  // CUB would do nothing
  std::size_t bytes = workspace.bytes;
  return algorithm(workspace.memory, bytes);
}

auto exclusive_sum_of(const std::uint64_t* values, std::uint64_t* sums, std::size_t count,
                      cudaStream_t stream) {
  return [=](void* memory, std::size_t& bytes) {
    return cub::DeviceScan::ExclusiveSum(memory, bytes, values, sums, count, stream);
  };
}

auto arg_min_of(const double* costs, const std::uint32_t* offsets, std::size_t segments,
                SegmentMinimum* minima, cudaStream_t stream) {
  return [=](void* memory, std::size_t& bytes) {
    return cub::DeviceSegmentedReduce::ArgMin(
        memory, bytes, costs, thrust::make_tabulate_output_iterator(StoreMinimum{minima}),
        static_cast<std::int64_t>(segments), offsets, offsets + 1, stream);
  };
}

}  // namespace

cudaError_t exclusive_sum_bytes(std::size_t count, std::size_t* bytes) {
  return bytes_of(bytes, exclusive_sum_of(nullptr, nullptr, count, nullptr));
}
cudaError_t exclusive_sum(const Workspace& workspace, const std::uint64_t* values, std::uint64_t* sums,
                          std::size_t count, cudaStream_t stream) {
  return run(workspace, exclusive_sum_of(values, sums, count, stream));
}

cudaError_t segmented_arg_min_bytes(std::size_t segments, std::size_t* bytes) {
  return bytes_of(bytes, arg_min_of(nullptr, nullptr, segments, nullptr, nullptr));
}
cudaError_t segmented_arg_min(const Workspace& workspace, const double* costs, const std::uint32_t* offsets,
                              std::size_t segments, SegmentMinimum* minima, cudaStream_t stream) {
  return run(workspace, arg_min_of(costs, offsets, segments, minima, stream));
}

}  // namespace afp::kernels
