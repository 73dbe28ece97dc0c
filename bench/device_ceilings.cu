// Bodies of device_ceilings.hpp.
#include "device_ceilings.hpp"
#include "kernels/device.hpp"

namespace afp::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kVectors = 4;  // of 16 bytes, in flight a thread
static_assert(kThreads * kVectors * sizeof(uint4) == kCeilingTile);

__device__ void load_tile(const uint4* from, uint4 (&vectors)[kVectors]) {
  const std::size_t first = std::size_t{blockIdx.x} * kThreads * kVectors + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) vectors[i] = __ldcs(from + first + i * kThreads);
}

__global__ __launch_bounds__(kThreads) void read_kernel(const uint4* from, unsigned* sink) {
  uint4 vectors[kVectors];
  load_tile(from, vectors);
  unsigned all = 0;
  for (const uint4& v : vectors) all |= v.x ^ v.y ^ v.z ^ v.w;
  if (all == 0x9E3779B9u) *sink = all;  // so that the loads are not left out
}

__global__ __launch_bounds__(kThreads) void copy_kernel(const uint4* from, uint4* to) {
  uint4 vectors[kVectors];
  load_tile(from, vectors);
  const std::size_t first = std::size_t{blockIdx.x} * kThreads * kVectors + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) __stcs(to + first + i * kThreads, vectors[i]);
}

dim3 tiles(std::size_t bytes) {
  return dim3(static_cast<unsigned>(bytes / kCeilingTile));
}

}  // namespace

cudaError_t read_all(const std::byte* from, std::size_t bytes, unsigned* sink, cudaStream_t stream) {
  return kernels::launch(read_kernel, tiles(bytes), dim3(kThreads), 0, stream,
                         reinterpret_cast<const uint4*>(from), sink);
}

cudaError_t copy_all(const std::byte* from, std::byte* to, std::size_t bytes, cudaStream_t stream) {
  return kernels::launch(copy_kernel, tiles(bytes), dim3(kThreads), 0, stream,
                         reinterpret_cast<const uint4*>(from), reinterpret_cast<uint4*>(to));
}

}  // namespace afp::bench
