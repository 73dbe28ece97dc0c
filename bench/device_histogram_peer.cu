// Body of device_histogram_peer.hpp.
#include <thrust/iterator/transform_iterator.h>

#include <cub/device/device_histogram.cuh>

#include "device_histogram_peer.hpp"

namespace afp::bench {
namespace {

struct MagnitudeBits {
  __host__ __device__ int operator()(std::uint16_t bits) const { return bits & 0x7FFF; }
};

}  // namespace

cudaError_t cub_magnitude_histogram(void* workspace, std::size_t* workspace_bytes, const std::byte* weights,
                                    std::uint32_t count, std::uint32_t* counts, cudaStream_t stream) {
  constexpr int kKeys = 1 << 15;
  const auto keys =
      thrust::make_transform_iterator(reinterpret_cast<const std::uint16_t*>(weights), MagnitudeBits{});
  return cub::DeviceHistogram::HistogramEven(workspace, *workspace_bytes, keys, counts, kKeys + 1, 0, kKeys,
                                             static_cast<int>(count), stream);
}

}  // namespace afp::bench
