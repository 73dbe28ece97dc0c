// The extent of weights, and how many lie within a limit, in one pass each.
//
// Ceiling: memory, 2 or 4 bytes a weight. 16-bit weights are worked on in pairs, a word each: three integer
// operations a weight for the extent, two for the count, where the integer units allow seven at full
// bandwidth. Vectors with zeros or non-finite weights take a longer way of their own.
#include "afp/scale.hpp"
#include "afp/statistics.hpp"
#include "kernels/atomics.hpp"
#include "kernels/chunk_runs.hpp"
#include "kernels/device_piece.hpp"
#include "kernels/extent.hpp"

namespace afp::kernels {
namespace {

constexpr unsigned kThreads = 512, kBlocksPerMultiprocessor = 2;
constexpr unsigned kWarps = kThreads / kWarp;
constexpr int kBatch = 4;

// Of the halves of two words, as signed integers.
__device__ inline unsigned max_pair(unsigned a, unsigned b) {
#if defined(__CUDA_ARCH__)
  return __vmaxs2(a, b);
#else
  const auto larger = [](unsigned x, unsigned y) {
    return static_cast<std::uint16_t>(static_cast<std::int16_t>(x) < static_cast<std::int16_t>(y) ? y : x);
  };
  return static_cast<unsigned>(larger(a >> 16, b >> 16)) << 16 | larger(a, b);
#endif
}
__device__ inline unsigned min_pair(unsigned a, unsigned b) {
#if defined(__CUDA_ARCH__)
  return __vmins2(a, b);
#else
  const auto smaller = [](unsigned x, unsigned y) {
    return static_cast<std::uint16_t>(static_cast<std::int16_t>(y) < static_cast<std::int16_t>(x) ? y : x);
  };
  return static_cast<unsigned>(smaller(a >> 16, b >> 16)) << 16 | smaller(a, b);
#endif
}

// What a thread has seen of weights of one type, in the bits of that type. No weight: magnitudes as here.
struct Seen {
  int absmax = 0, smallest = 0x7FFFFFFF;  // magnitudes
  int largest = -0x7FFFFFFF - 1;          // as signed integers: of positive weights these order like them
  unsigned long long zeros = 0, nonfinite = 0;

  __device__ void merge(int most, int least, int signed_most) {
    absmax = absmax > most ? absmax : most;
    smallest = smallest < least ? smallest : least;
    largest = largest > signed_most ? largest : signed_most;
  }
};

// Likewise, of the weights in the lower and in the upper halves of words, all finite; but for zeros.
struct SeenPairs {
  unsigned absmax = 0, smallest = 0x7FFF7FFFu, largest = 0x80008000u;

  __device__ void merge(const SeenPairs& other) {
    absmax = max_pair(absmax, other.absmax);
    smallest = min_pair(smallest, other.smallest);
    largest = max_pair(largest, other.largest);
  }
};

// One weight of 16 bits, finite or not. `infinity`: its bits.
__device__ inline void see_half(unsigned bits, int infinity, Seen& seen) {
  const int magnitude = static_cast<int>(bits & 0x7FFF);
  if (magnitude >= infinity) {
    ++seen.nonfinite;
    return;
  }
  if (magnitude == 0) ++seen.zeros;
  seen.merge(magnitude, magnitude, static_cast<std::int16_t>(bits));
}

// Eight weights into `pairs`, or where non-finite ones are among them, one by one into `seen`.
template <int kInfinity>
__device__ void see_halves(const uint4& vector, SeenPairs& pairs, Seen& seen) {
  constexpr unsigned kMagnitudes = 0x7FFF7FFFu, kTops = 0x80008000u;
  const unsigned x = vector.x & kMagnitudes, y = vector.y & kMagnitudes, z = vector.z & kMagnitudes,
                 w = vector.w & kMagnitudes;
  SeenPairs own;
  own.absmax = max_pair(max_pair(x, y), max_pair(z, w));
  own.smallest = min_pair(min_pair(x, y), min_pair(z, w));
  own.largest = max_pair(max_pair(vector.x, vector.y), max_pair(vector.z, vector.w));
  // The top bit of a half: it reaches infinity; no carry leaves it.
  constexpr auto kToInfinity = static_cast<unsigned>(0x8000 - kInfinity) * 0x10001u;
  if (((own.absmax + kToInfinity) & kTops) != 0) {
    uint4 rest = vector;
#pragma unroll 1
    for (int i = 0; i < 8; ++i) {
      see_half(rest.x & 0xFFFF, kInfinity, seen);
      rest.x = __funnelshift_r(rest.x, rest.y, 16);
      rest.y = __funnelshift_r(rest.y, rest.z, 16);
      rest.z = __funnelshift_r(rest.z, rest.w, 16);
      rest.w >>= 16;
    }
    return;
  }
  pairs.merge(own);
  if (((own.smallest + kMagnitudes) & kTops) != kTops) {  // the top bit: not zero
    seen.zeros += static_cast<unsigned>(
        8 - __popc(((x + kMagnitudes) & kTops) | ((y + kMagnitudes) & kTops) >> 1 |
                   ((z + kMagnitudes) & kTops) >> 2 | ((w + kMagnitudes) & kTops) >> 3));
  }
}

__device__ inline void see_float(unsigned bits, Seen& seen) {
  const auto magnitude = static_cast<int>(bits & 0x7FFFFFFFu);
  if (magnitude >= static_cast<int>(RawExtent::kInfinity)) {
    ++seen.nonfinite;
    return;
  }
  if (magnitude == 0) ++seen.zeros;
  seen.merge(magnitude, magnitude, static_cast<int>(bits));
}

// Bits of the type as those of a float32.
template <DType kDType>
__device__ unsigned float_bits_of(int bits) {
  if constexpr (kDType == DType::BF16) return static_cast<unsigned>(bits) << 16;
  if constexpr (kDType == DType::F16) return float_bits(f16_to_float(static_cast<std::uint16_t>(bits)));
  return static_cast<unsigned>(bits);
}

template <DType kDType>
__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor) extent_kernel(const ExtentTask task) {
  constexpr bool kHalves = kDType != DType::F32;
  constexpr int kInfinity = kDType == DType::BF16 ? 0x7F80 : 0x7C00;
  AFP_SHARED(int, scratch, kWarps);
  AFP_SHARED(unsigned long long, sums, kWarps);
  const VectorSpan span(task.weights, task.count, kHalves ? 2 : 4);
  const std::uint64_t thread = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  Seen seen;
  SeenPairs pairs;
  for_vectors<kBatch>(span.vectors, span.count, thread, std::uint64_t{gridDim.x} * kThreads,
                      [&](const uint4& vector) {
                        if constexpr (kHalves) {
                          see_halves<kInfinity>(vector, pairs, seen);
                        } else {
                          see_float(vector.x, seen);
                          see_float(vector.y, seen);
                          see_float(vector.z, seen);
                          see_float(vector.w, seen);
                        }
                      });
  if (blockIdx.x == 0) {
    if constexpr (kHalves)
      for_edges<std::uint16_t>(span, [&](unsigned bits) { see_half(bits, kInfinity, seen); });
    else
      for_edges<std::uint32_t>(span, [&](unsigned bits) { see_float(bits, seen); });
  }
  if constexpr (kHalves) {
    for (const int half : {0, 16})
      if (const auto least = static_cast<int>(pairs.smallest >> half & 0xFFFF); least != 0x7FFF)
        seen.merge(static_cast<int>(pairs.absmax >> half & 0xFFFF), least,
                   static_cast<std::int16_t>(pairs.largest >> half & 0xFFFF));
  }

  const auto larger = [](int a, int b) { return a > b ? a : b; };
  const auto smaller = [](int a, int b) { return a < b ? a : b; };
  const auto sum = [](unsigned long long a, unsigned long long b) { return a + b; };
  const int absmax = block_reduce(seen.absmax, larger, 0, scratch);
  __syncthreads();
  const int smallest = block_reduce(seen.smallest, smaller, 0x7FFFFFFF, scratch);
  __syncthreads();
  const int largest = block_reduce(seen.largest, larger, -0x7FFFFFFF - 1, scratch);
  const unsigned long long zeros = block_reduce(seen.zeros, sum, 0ull, sums);
  __syncthreads();
  const unsigned long long nonfinite = block_reduce(seen.nonfinite, sum, 0ull, sums);
  if (threadIdx.x != 0) return;
  if (nonfinite != 0) add_global(&task.result->nonfinite, nonfinite);
  if (smallest == 0x7FFFFFFF) return;  // no finite weight
  if (zeros != 0) add_global(&task.result->zeros, zeros);
  atomicMax(&task.result->absmax, float_bits_of<kDType>(absmax));
  atomicMin(&task.result->smallest_magnitude, float_bits_of<kDType>(smallest));
  // With no weight that is positive or +0 the largest is the one of smallest magnitude.
  atomicMax(&task.result->largest, largest >= 0 ? ordered_of(float_bits_of<kDType>(largest))
                                                : ordered_of(0x80000000u | float_bits_of<kDType>(smallest)));
}

__global__ void tensor_scale_kernel(const TensorScaleTask task) {
  *task.tensor_scale = ue4m3_tensor_scale(task.smallest_max_value, bits_float(task.extent->absmax));
}

// `limit`: the bits of the largest magnitude within, of the type.
template <DType kDType>
__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor)
    count_kernel(const CountWithin task, unsigned limit) {
  constexpr bool kHalves = kDType != DType::F32;
  AFP_SHARED(unsigned long long, sums, kWarps);
  const VectorSpan span(task.weights, task.count, kHalves ? 2 : 4);
  const std::uint64_t thread = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  unsigned long long within = 0;
  for_vectors<kBatch>(
      span.vectors, span.count, thread, std::uint64_t{gridDim.x} * kThreads, [&](const uint4& vector) {
        if constexpr (kHalves) {
          constexpr unsigned kMagnitudes = 0x7FFF7FFFu, kTops = 0x80008000u;
          const unsigned limits = limit * 0x10001u | kTops;
          // The top bit of a half stays where nothing is borrowed from it.
          const auto of_pair = [&](unsigned pair) { return (limits - (pair & kMagnitudes)) & kTops; };
          within += static_cast<unsigned>(__popc(of_pair(vector.x) | of_pair(vector.y) >> 1 |
                                                 of_pair(vector.z) >> 2 | of_pair(vector.w) >> 3));
        } else {
          const auto of_weight = [&](unsigned bits) { return (bits & 0x7FFFFFFFu) <= limit ? 1u : 0u; };
          within += of_weight(vector.x) + of_weight(vector.y) + of_weight(vector.z) + of_weight(vector.w);
        }
      });
  if (blockIdx.x == 0) {
    using Bits = std::conditional_t<kHalves, std::uint16_t, std::uint32_t>;
    constexpr unsigned kMagnitude = kHalves ? 0x7FFFu : 0x7FFFFFFFu;
    for_edges<Bits>(span, [&](unsigned bits) { within += (bits & kMagnitude) <= limit ? 1 : 0; });
  }
  const auto sum = [](unsigned long long a, unsigned long long b) { return a + b; };
  within = block_reduce(within, sum, 0ull, sums);
  if (threadIdx.x == 0 && within != 0) add_global(task.result, within);
}

// As many blocks as have a batch of vectors for every thread, at least one, at most a full device.
unsigned blocks_for(DType dtype, std::uint64_t count, int multiprocessors) {
  constexpr std::uint64_t kVectors = std::uint64_t{kThreads} * kBatch;
  const std::uint64_t wanted = count / (16 / static_cast<unsigned>(weight_bytes(dtype)) * kVectors) + 1;
  const std::uint64_t most = static_cast<std::uint64_t>(multiprocessors) * kBlocksPerMultiprocessor;
  return static_cast<unsigned>(wanted < most ? wanted : most);
}

}  // namespace

cudaError_t extent(const ExtentTask& task, cudaStream_t stream) {
  if (task.count == 0) return cudaSuccess;
  const unsigned blocks = blocks_for(task.dtype, task.count, task.multiprocessors);
  switch (task.dtype) {
    case DType::BF16:
      return launch(extent_kernel<DType::BF16>, blocks, kThreads, 0, stream, task);
    case DType::F16:
      return launch(extent_kernel<DType::F16>, blocks, kThreads, 0, stream, task);
    case DType::F32:
      return launch(extent_kernel<DType::F32>, blocks, kThreads, 0, stream, task);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t tensor_scale(const TensorScaleTask& task, cudaStream_t stream) {
  return launch(tensor_scale_kernel, 1, 1, 0, stream, task);
}

cudaError_t count_within(const CountWithin& task, cudaStream_t stream) {
  if (task.count == 0) return cudaSuccess;
  const unsigned blocks = blocks_for(task.dtype, task.count, task.multiprocessors);
  const auto limit = static_cast<unsigned>(task.dtype == DType::F32 ? float_bits(task.limit)
                                                                    : last_key_at(task.dtype, task.limit));
  switch (task.dtype) {
    case DType::BF16:
      return launch(count_kernel<DType::BF16>, blocks, kThreads, 0, stream, task, limit);
    case DType::F16:
      return launch(count_kernel<DType::F16>, blocks, kThreads, 0, stream, task, limit);
    case DType::F32:
      return launch(count_kernel<DType::F32>, blocks, kThreads, 0, stream, task, limit);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace afp::kernels
