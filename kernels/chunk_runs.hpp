// How a persistent block walks over its share of a work list: in runs of chunks of one tensor, so that what
// it gathers in shared memory is flushed once a run.
#pragma once

#include "kernels/device.hpp"
#include "kernels/work_list.hpp"

namespace afp::kernels {

// Weights as 16-byte vectors with what lies before and behind them, fewer than a vector each.
struct VectorSpan {
  const uint4* vectors;
  std::uint64_t count;      // vectors
  unsigned head, tail;      // weights
  const std::byte* behind;  // where the tail begins

  // `width` bytes a weight, which `weights` is aligned to.
  __device__ VectorSpan(const std::byte* weights, std::uint64_t weight_count, unsigned width) {
    const auto misaligned = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(weights) % 16);
    const std::uint64_t to_boundary = (16 - misaligned) % 16 / width;
    head = static_cast<unsigned>(to_boundary < weight_count ? to_boundary : weight_count);
    const std::uint64_t rest = (weight_count - head) * width;
    vectors = reinterpret_cast<const uint4*>(weights + head * width);
    count = rest / 16;
    tail = static_cast<unsigned>(rest % 16) / width;
    behind = weights + head * width + 16 * count;
  }
};

// use(bits) for the weights before and behind the vectors: thread i takes the i-th of them, fewer than 32.
template <class T, class Use>
__device__ void for_edges(const VectorSpan& span, const Use& use) {
  const unsigned place = threadIdx.x;
  if (place < span.head)
    use(reinterpret_cast<const T*>(span.vectors)[static_cast<int>(place) - static_cast<int>(span.head)]);
  else if (place < span.head + span.tail)
    use(reinterpret_cast<const T*>(span.behind)[place - span.head]);
}

// use(vector) for the vectors first, first + stride, ...: kBatch loads are under way before the first use.
template <int kBatch, class Index, class Use>
__device__ void for_vectors(const uint4* vectors, Index count, Index first, Index stride, const Use& use) {
  for (Index i = first; i < count; i += kBatch * stride) {
    uint4 batch[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; ++j)
      if (i + static_cast<Index>(j) * stride < count)
        batch[j] = __ldcs(vectors + i + static_cast<Index>(j) * stride);
#pragma unroll
    for (int j = 0; j < kBatch; ++j)
      if (i + static_cast<Index>(j) * stride < count) use(batch[j]);
  }
}

// The block's share of the chunks of `chunk_weights` each, as body(tensor, first weight, weights): at most
// `most_chunks` of one tensor at a time. All threads of the block call body alike. Tensor has a `count`.
template <class Tensor, class Body>
__device__ void for_each_run(const WorkList& work, const Tensor* tensors, std::uint64_t chunks,
                             std::uint64_t chunk_weights, std::uint64_t most_chunks, const Body& body) {
  // Shares differ by one chunk at most; chunks * blocks stays far below 2^64.
  std::uint64_t chunk = chunks * blockIdx.x / gridDim.x;
  const std::uint64_t end = chunks * (blockIdx.x + std::uint64_t{1}) / gridDim.x;
  if (chunk == end) return;
  std::uint32_t index = work.tensor_of(chunk);
  while (chunk < end) {
    while (work.first_chunk[index + 1] <= chunk) ++index;  // tensors without weights have no chunk
    const std::uint64_t first_chunk = work.first_chunk[index], end_chunk = work.first_chunk[index + 1];
    std::uint64_t stop = chunk + most_chunks;
    if (stop > end) stop = end;
    if (stop > end_chunk) stop = end_chunk;
    const Tensor tensor = tensors[index];
    const std::uint64_t first = (chunk - first_chunk) * chunk_weights;
    const std::uint64_t behind = stop == end_chunk ? tensor.count : (stop - first_chunk) * chunk_weights;
    body(tensor, first, behind - first);
    chunk = stop;
  }
}

// The grid of a kernel whose blocks share `chunks`, one block a multiprocessor.
inline unsigned persistent_blocks(std::uint64_t chunks, int multiprocessors) {
  const auto most = static_cast<std::uint64_t>(multiprocessors);
  return static_cast<unsigned>(chunks < most ? chunks : most);
}

}  // namespace afp::kernels
