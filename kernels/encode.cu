// Ceiling: memory, 2 (F32: 4) + N / 8 bytes a weight. A thread loads four vectors of 8 weights (two of 4 of
// F32) before it needs the first: 64 bytes (F32: 128) in flight a thread, 64 KiB a multiprocessor at 1024
// threads. What a warp packs, 128 N bytes of 1024 weights, passes through shared memory and leaves in 16-byte
// vectors whatever N. On sm_90 12 instructions a bf16 weight at N = 4 (15 at N = 7), half of them for the
// integer pipe: at the ceiling about two thirds of what a multiprocessor can issue.
#include "kernels/code_rounding.hpp"
#include "kernels/code_space.hpp"
#include "kernels/device.hpp"
#include "kernels/encode.hpp"
#include "kernels/half_conversion.hpp"

namespace afp::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kGroup = 8;  // codes a thread packs at a time, N bytes
constexpr int kSteps = 4;  // groups a thread has in flight
static_assert(kWarp * kGroup * kSteps == kWarpCodes);
constexpr int kMostWarpBytes = kWarpCodes * kMaxBits / 8;

struct EncodeTask {
  CodeSpace space;
  std::uint32_t warp_tiles;  // those of kWarpCodes codes that the flat kernel encodes
  const std::byte* weights;
  const std::uint8_t* scales;
  std::uint8_t* codes;
  const float* tensor_scale;
  BlockCodec codec;
  CodeRounding rounding[2];
  CodePacking packing;
  int bits;
  std::uint32_t many_blocks;
};

// Eight weights as they lie in memory.
template <DType dtype>
struct Group {
  static constexpr int kVectors = dtype == DType::F32 ? 2 : 1;
  uint4 vectors[kVectors];

  __device__ float weight(int i) const {
    const uint4& v = vectors[dtype == DType::F32 ? i / 4 : 0];
    const int word = dtype == DType::F32 ? i % 4 : i / 2;
    const std::uint32_t bits = word == 0 ? v.x : word == 1 ? v.y : word == 2 ? v.z : v.w;
    if constexpr (dtype == DType::F32) return bits_float(bits);
    if constexpr (dtype == DType::BF16) return bits_float(i % 2 == 0 ? bits << 16 : bits & 0xFFFF0000u);
    return half_to_float(static_cast<std::uint16_t>(i % 2 == 0 ? bits : bits >> 16));
  }
  // Of weights 4 half .. 4 half + 3, see signs_of_halves.
  __device__ std::uint32_t signs(int half) const {
    if constexpr (dtype == DType::F32) {
      const float w[4] = {weight(4 * half), weight(4 * half + 1), weight(4 * half + 2), weight(4 * half + 3)};
      return signs_of_floats(w);
    } else {
      return half == 0 ? signs_of_halves(vectors[0].x, vectors[0].y)
                       : signs_of_halves(vectors[0].z, vectors[0].w);
    }
  }
};

// `count` weights behind `weights`, the rest zeros. Whole vectors where that is possible.
template <DType dtype>
__device__ Group<dtype> load_group(const std::byte* weights, int count) {
  Group<dtype> group;
  if (count == kGroup && reinterpret_cast<std::uintptr_t>(weights) % sizeof(uint4) == 0) {
    for (int i = 0; i < Group<dtype>::kVectors; ++i)
      group.vectors[i] = __ldcs(reinterpret_cast<const uint4*>(weights) + i);
    return group;
  }
  std::uint32_t words[4 * Group<dtype>::kVectors];
  if constexpr (dtype == DType::F32) {
    for (int i = 0; i < kGroup; ++i)
      words[i] = i < count ? reinterpret_cast<const std::uint32_t*>(weights)[i] : 0;
  } else {
    const auto* halves = reinterpret_cast<const std::uint16_t*>(weights);
    for (int i = 0; i < kGroup; i += 2)
      words[i / 2] = (i < count ? halves[i] : 0u) | (i + 1 < count ? halves[i + 1] : 0u) << 16;
  }
  for (int i = 0; i < Group<dtype>::kVectors; ++i)
    group.vectors[i] = make_uint4(words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]);
  return group;
}

// What scale bytes mean: r of all of them, and the two Formats' numbers, whose place is the byte's bit 7.
struct ScaleTables {
  float reciprocals[256];
  CodeRounding roundings[2];

  // By the threads of a block together; a barrier follows.
  __device__ void fill(const EncodeTask& task) {
    BlockCodec codec = task.codec;
    if (task.tensor_scale != nullptr) codec.tensor_scale = *task.tensor_scale;
    reciprocals[threadIdx.x] = codec.reciprocal(threadIdx.x);
    if (threadIdx.x == 0) roundings[0] = task.rounding[0];
    if (threadIdx.x == kWarp) roundings[1] = task.rounding[1];
  }
};
static_assert(kThreads == 256);

// A thread's groups of weights, the scale bytes of their blocks, and what becomes of them.
template <DType dtype>
struct GroupsInHand {
  Group<dtype> weights[kSteps];
  std::uint32_t bytes[kSteps];

  template <bool kPair>
  __device__ void encode(const EncodeTask& task, const ScaleTables& tables, std::uint8_t* staged) const {
    std::uint32_t codes[kSteps][2];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      const CodeRounding rounding = kPair ? tables.roundings[bytes[k] / kUe4m3Alternative] : task.rounding[0];
      const float reciprocal = tables.reciprocals[bytes[k]];
      for (int half = 0; half < 2; ++half) {
        const float w[4] = {weights[k].weight(4 * half), weights[k].weight(4 * half + 1),
                            weights[k].weight(4 * half + 2), weights[k].weight(4 * half + 3)};
        codes[k][half] = encode_four(w, weights[k].signs(half), reciprocal, rounding, task.packing);
      }
    }
    stage(codes, task, staged);
  }

 private:
  // Two times four codes, 8 N bits, to the groups' N bytes each of the warp's.
  __device__ static void stage(const std::uint32_t (&codes)[kSteps][2], const EncodeTask& task,
                               std::uint8_t* staged) {
    const int bits = task.bits;
    staged += static_cast<int>(threadIdx.x % kWarp) * bits;
    const int stride = kWarp * bits;
    if (bits == 8) {
      for (int k = 0; k < kSteps; ++k, staged += stride)
        *reinterpret_cast<uint2*>(staged) = make_uint2(codes[k][0], codes[k][1]);
      return;
    }
    const std::uint32_t factor = task.packing.second_factor;
    if (bits == 4) {
      for (int k = 0; k < kSteps; ++k, staged += stride)
        *reinterpret_cast<std::uint32_t*>(staged) = codes[k][0] + codes[k][1] * factor;
      return;
    }
    for (int k = 0; k < kSteps; ++k, staged += stride) {
      const std::uint64_t all = codes[k][0] + static_cast<std::uint64_t>(codes[k][1]) * factor;
      if (bits % 2 == 0) {  // 2 or 6
        auto* const halves = reinterpret_cast<std::uint16_t*>(staged);
        halves[0] = static_cast<std::uint16_t>(all);
        if (bits == 2) continue;
        halves[1] = static_cast<std::uint16_t>(all >> 16);
        halves[2] = static_cast<std::uint16_t>(all >> 32);
        continue;
      }
      const auto byte = [&](int i) { staged[i] = static_cast<std::uint8_t>(all >> (8 * i)); };
      byte(0), byte(1), byte(2);
      if (bits == 3) continue;
      byte(3), byte(4);
      if (bits == 5) continue;
      byte(5), byte(6);
    }
  }
};

// Whole warps of codes, weight i being code i, and weights aligned to 16 bytes.
template <DType dtype>
__device__ void load_flat(const EncodeTask& task, std::uint32_t warp_tile, GroupsInHand<dtype>& groups) {
  constexpr int kVectors = Group<dtype>::kVectors;
  const std::uint32_t lane = threadIdx.x % kWarp;
  const std::uint64_t first = std::uint64_t{warp_tile} * kWarpCodes + lane * kGroup;
  const auto* const vectors = reinterpret_cast<const uint4*>(task.weights + first * weight_bytes(dtype));
#pragma unroll
  for (int k = 0; k < kSteps; ++k)
    for (int i = 0; i < kVectors; ++i)
      groups.weights[k].vectors[i] = __ldcs(vectors + k * kWarp * kVectors + i);
  load_scale_bytes<kSteps, kWarp * kGroup>(task.space, task.scales, warp_tile, lane * kGroup, groups.bytes);
}

template <DType dtype, bool kPair>
__global__ __launch_bounds__(kThreads, 4) void encode_flat_kernel(const EncodeTask task) {
  AFP_SHARED(ScaleTables, tables, 1);
  AFP_SHARED(uint4, staged_vectors, kThreads / kWarp * kMostWarpBytes / 16);
  const std::uint32_t lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  uint4* const staged = staged_vectors + warp * (kMostWarpBytes / 16);
  const std::uint32_t vectors = kWarpCodes / 8 / 16 * static_cast<std::uint32_t>(task.bits);
  std::uint32_t tile = blockIdx.x * (kThreads / kWarp) + warp;
  const std::uint32_t stride = gridDim.x * (kThreads / kWarp);
  GroupsInHand<dtype> groups;
  if (tile < task.warp_tiles) load_flat(task, tile, groups);
  tables[0].fill(task);  // while the first loads are on their way
  __syncthreads();
  while (tile < task.warp_tiles) {
    groups.template encode<kPair>(task, tables[0], reinterpret_cast<std::uint8_t*>(staged));
    __syncwarp();
    auto* const codes = reinterpret_cast<uint4*>(task.codes) + std::uint64_t{tile} * vectors + lane;
    if (lane < vectors) __stcs(codes, staged[lane]);
    if (lane + kWarp < vectors) __stcs(codes + kWarp, staged[lane + kWarp]);
    tile += stride;
    if (tile >= task.warp_tiles) return;
    __syncwarp();
    load_flat(task, tile, groups);
  }
}

// Any shape and alignment, and what is left of a flat range: codes from task.warp_tiles warps on.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void encode_any_kernel(const EncodeTask task) {
  AFP_SHARED(ScaleTables, tables, 1);
  AFP_SHARED(uint4, staged_vectors, kThreads / kWarp * kMostWarpBytes / 16);
  const std::uint32_t lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  auto* const staged = reinterpret_cast<std::uint8_t*>(staged_vectors + warp * (kMostWarpBytes / 16));
  const CodeSpace& space = task.space;
  tables[0].fill(task);
  __syncthreads();
  const std::uint64_t warp_first =
      (std::uint64_t{task.warp_tiles} + std::uint64_t{blockIdx.x} * (kThreads / kWarp) + warp) * kWarpCodes;
  if (warp_first >= space.codes) return;
  GroupsInHand<dtype> groups;
  const std::uint64_t first = warp_first + lane * kGroup;
  CodeCursor cursor(space, first);
#pragma unroll
  for (int k = 0; k < kSteps; ++k, cursor.advance(space, kWarp * kGroup)) {
    const int count = cursor.weights_left(space, kGroup);
    groups.weights[k] = load_group<dtype>(task.weights + cursor.weight(space) * weight_bytes(dtype), count);
    groups.bytes[k] = count == 0 ? 0 : task.scales[cursor.scale_index(space)];
  }
  groups.template encode<true>(task, tables[0], staged);
  __syncwarp();
  const std::uint64_t bits = static_cast<std::uint64_t>(task.bits);
  const std::uint64_t left = (space.codes - warp_first) / 8 * bits;  // bytes
  std::uint8_t* const codes = task.codes + warp_first / 8 * bits;
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(codes) % sizeof(uint4) == 0;
  for (std::uint64_t begin = 16 * lane; begin < kWarpCodes / 8 * bits; begin += 16 * kWarp) {
    if (is_aligned && begin + 16 <= left) {
      *reinterpret_cast<uint4*>(codes + begin) = *reinterpret_cast<const uint4*>(staged + begin);
    } else {
      for (std::uint64_t i = begin; i < begin + 16 && i < left; ++i) codes[i] = staged[i];
    }
  }
}

template <DType dtype>
cudaError_t launch_encode(EncodeTask& task, cudaStream_t stream) {
  constexpr std::uint64_t kWarps = kThreads / kWarp;
  const bool is_flat = task.space.is_flat && (reinterpret_cast<std::uintptr_t>(task.weights) |
                                              reinterpret_cast<std::uintptr_t>(task.codes)) %
                                                     sizeof(uint4) ==
                                                 0;
  if (is_flat && task.space.weights >= kWarpCodes) {
    task.warp_tiles = static_cast<std::uint32_t>(task.space.weights / kWarpCodes);
    // Tiles of a block share the tables.
    const std::uint64_t tiles = ceil_div(std::uint64_t{task.warp_tiles}, kWarps);
    const dim3 grid(static_cast<unsigned>(ceil_div(tiles, tiles / task.many_blocks + 1)));
    const cudaError_t error = launch(
        task.codec.format_count == 2 ? encode_flat_kernel<dtype, true> : encode_flat_kernel<dtype, false>,
        grid, dim3(kThreads), 0, stream, task);
    if (error != cudaSuccess) return error;
  }
  const std::uint64_t left = ceil_div(task.space.codes, std::uint64_t{kWarpCodes}) - task.warp_tiles;
  return launch(encode_any_kernel<dtype>, dim3(static_cast<unsigned>(ceil_div(left, kWarps))), dim3(kThreads),
                0, stream, task);
}

}  // namespace

cudaError_t encode(const Encode& request, cudaStream_t stream) {
  const DevicePiece& piece = request.piece;
  const BlockCodec& codec = request.codec;
  EncodeTask task{};
  task.space = CodeSpace::of(piece.grid, piece.cells);
  task.weights = piece.weights;
  task.scales = request.scales;
  task.codes = request.codes;
  task.tensor_scale = request.tensor_scale;
  task.codec = codec;
  for (int i = 0; i < 2; ++i)
    task.rounding[i] = CodeRounding::of(codec.formats[i < codec.format_count ? i : 0]);
  task.packing = CodePacking::of(codec.bits());
  task.bits = codec.bits();
  task.many_blocks = request.many_blocks;
  switch (piece.dtype) {
    case DType::BF16:
      return launch_encode<DType::BF16>(task, stream);
    case DType::F16:
      return launch_encode<DType::F16>(task, stream);
    case DType::F32:
      return launch_encode<DType::F32>(task, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace afp::kernels
