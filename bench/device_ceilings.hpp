// What plain kernels get out of a device's memory: the ceilings of those that do more.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace afp::bench {

// 16 bytes a load, 64 bytes in flight a thread. `bytes` is a multiple of kCeilingTile, pointers are aligned
// to 16 bytes.
inline constexpr std::size_t kCeilingTile = 16384;
cudaError_t read_all(const std::byte* from, std::size_t bytes, unsigned* sink, cudaStream_t stream);
cudaError_t copy_all(const std::byte* from, std::byte* to, std::size_t bytes, cudaStream_t stream);

}  // namespace afp::bench
