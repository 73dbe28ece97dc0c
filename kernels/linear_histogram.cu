// Counting magnitudes into equal bins.
//
// Ceiling: shared memory atomics, 3.5 turns of the banks for a warp's 32 weights at random bins, one for
// equal ones. A product of float32 finds the bin of nearly all weights; those it leaves too near an edge to
// tell, one in 2^21 / bins at random, are placed by the definition. Histograms of more bins than shared
// memory holds are counted in global memory.
#include "afp/linear_histogram.hpp"
#include "kernels/atomics.hpp"
#include "kernels/chunk_runs.hpp"
#include "kernels/half_conversion.hpp"
#include "kernels/linear_histogram.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kThreads = 1024;
constexpr std::uint32_t kSharedBins = 40 * 1024;  // 160 KiB: A100 has 163
constexpr std::uint64_t kMostChunks = 1 << 16;    // of a run: a counter holds the weights of all
static_assert(kMostChunks * kHistogramChunk <= 0xFFFFFFFFu);

// linear_bin() of one tensor, by one product where that can decide.
struct Bins {
  const float* edges;
  std::uint32_t bins;
  double per_bin;
  float limit, rounded_per_bin;
  float margin;  // of the product, 2^-23 of its value, and of edges, rounded to float32, together; in bins

  __device__ explicit Bins(const HistogramTensor& tensor)
      : edges(tensor.edges),
        bins(tensor.bins),
        per_bin(tensor.per_bin),
        limit(tensor.edges[tensor.bins]),
        // 0 where float32 does not hold it: then the definition decides everywhere.
        rounded_per_bin(per_bin <= 0x1.fffffep127 ? static_cast<float>(per_bin) : 0.0f),
        margin(static_cast<float>(bins) * 0x1p-22f) {}

  // `magnitude` up to the limit.
  __device__ std::uint32_t bin_of(float magnitude) const {
    const float place = magnitude * rounded_per_bin;
    const auto bin = static_cast<std::uint32_t>(place);
    const float rest = place - static_cast<float>(bin);
    if (rest >= margin && rest <= 1.0f - margin) return bin;
    return linear_bin(edges, bins, per_bin, magnitude);
  }
};

template <DType kDType>
__global__ void __launch_bounds__(kThreads, 1) histogram_kernel(const HistogramTask task) {
  using Bits = std::conditional_t<kDType == DType::F32, std::uint32_t, std::uint16_t>;
  AFP_DYNAMIC_SHARED(unsigned, counters);
  const auto as_float = [](unsigned bits) {
    if constexpr (kDType == DType::F32) return bits_float(bits);
    if constexpr (kDType == DType::BF16) return bf16_to_float(static_cast<std::uint16_t>(bits));
    return half_to_float(static_cast<std::uint16_t>(bits));
  };
  for_each_run(task.work, task.tensors, task.chunks, kHistogramChunk, kMostChunks,
               [&](const HistogramTensor& tensor, std::uint64_t first, std::uint64_t count) {
                 const Bins bins(tensor);
                 const bool shared = tensor.bins <= kSharedBins;
                 if (shared)
                   for (unsigned bin = threadIdx.x; bin < tensor.bins; bin += kThreads) counters[bin] = 0;
                 __syncthreads();
                 const auto add = [&](unsigned bits) {
                   const float magnitude = bits_float(float_bits(as_float(bits)) & 0x7FFFFFFFu);
                   if (!(magnitude <= bins.limit)) return;  // nor of a NaN
                   const std::uint32_t bin = bins.bin_of(magnitude);
                   if (shared)
                     atomicAdd(&counters[bin], 1u);
                   else
                     add_global(&tensor.counts[bin], 1);
                 };
                 const VectorSpan span(tensor.weights + first * sizeof(Bits), count, sizeof(Bits));
                 for_vectors<4>(span.vectors, span.count, std::uint64_t{threadIdx.x}, std::uint64_t{kThreads},
                                [&](const uint4& vector) {
#pragma unroll
                                  for (const unsigned word : {vector.x, vector.y, vector.z, vector.w}) {
                                    if constexpr (sizeof(Bits) == 4) {
                                      add(word);
                                    } else {
                                      add(word & 0xFFFF);
                                      add(word >> 16);
                                    }
                                  }
                                });
                 for_edges<Bits>(span, add);
                 __syncthreads();
                 if (shared)
                   for (unsigned bin = threadIdx.x; bin < tensor.bins; bin += kThreads)
                     if (counters[bin] != 0) add_global(&tensor.counts[bin], counters[bin]);
                 __syncthreads();
               });
}

template <DType kDType>
cudaError_t start(const HistogramTask& task, cudaStream_t stream) {
  const std::size_t bytes = 4 * std::size_t{task.most_bins < kSharedBins ? task.most_bins : kSharedBins};
  // As much as any launch takes: other threads launch, too, and the last word counts for all.
  const cudaError_t error = allow_shared(histogram_kernel<kDType>, 4 * std::size_t{kSharedBins});
  if (error != cudaSuccess) return error;
  return launch(histogram_kernel<kDType>, persistent_blocks(task.chunks, task.multiprocessors), kThreads,
                bytes, stream, task);
}

}  // namespace

cudaError_t linear_histogram(const HistogramTask& task, cudaStream_t stream) {
  switch (task.dtype) {
    case DType::BF16:
      return start<DType::BF16>(task, stream);
    case DType::F16:
      return start<DType::F16>(task, stream);
    case DType::F32:
      return start<DType::F32>(task, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace afp::kernels
