// The peer of kernels/statistics.hpp: CUB's histogram of the 32,768 magnitudes of BF16 weights.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace afp::bench {

// counts[key], of fewer than 2^31 weights, is written. Both as cub::DeviceHistogram::HistogramEven does it:
// with no workspace the call tells its size.
cudaError_t cub_magnitude_histogram(void* workspace, std::size_t* workspace_bytes, const std::byte* weights,
                                    std::uint32_t count, std::uint32_t* counts, cudaStream_t stream);

}  // namespace afp::bench
