// Ceiling: memory, 2 (F32: 4) + N / 8 bytes a weight. A thread loads four vectors of 8 weights (two of 4 of
// F32) before it needs the first: 64 bytes (F32: 128) in flight a thread, 64 KiB a multiprocessor at 1024
// threads. What a warp packs, 128 N bytes of 1024 weights, passes through shared memory and leaves in 16-byte
// vectors whatever N.
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
constexpr int kWarpCodes = kWarp * kGroup * kSteps;
constexpr int kTileCodes = kWarpCodes * (kThreads / kWarp);
constexpr int kMostWarpBytes = kWarpCodes * kMaxBits / 8;

struct EncodeTask {
  CodeSpace space;
  std::uint64_t tiles;
  const std::byte* weights;
  const std::uint8_t* scales;
  std::uint8_t* codes;
  const float* tensor_scale;
  BlockCodec codec;
  CodeRounding rounding[2];
  CodePacking packing;
  int bits;
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
      return signs_of_words(w);
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

// Where the groups of a thread begin: codes first, first + 256, ... of the range.
class GroupCursor {
 public:
  __device__ GroupCursor(const CodeSpace& space, std::uint64_t first) : code_(first) {
    row_ = space.by_row.divide(space.first_code + first, column_);
  }
  __device__ void advance(const CodeSpace& space) {
    code_ += kWarp * kGroup;
    column_ += kWarp * kGroup;
    while (column_ >= space.row_codes) {
      column_ -= space.row_codes;
      ++row_;
    }
  }
  __device__ std::uint64_t row() const { return row_; }
  // The group's first weight in the range, and how many weights it has.
  __device__ std::uint64_t weight(const CodeSpace& space) const {
    return row_ * space.columns + column_ - space.first_code;
  }
  __device__ int count(const CodeSpace& space) const {
    if (code_ >= space.codes || column_ >= space.columns) return 0;
    const std::uint64_t left = space.columns - column_;
    return left < kGroup ? static_cast<int>(left) : kGroup;
  }

 private:
  std::uint64_t code_, row_, column_;
};

// Two times four codes, 8 N bits, to the group's N bytes of the warp's.
__device__ void stage_group(std::uint8_t* staged, int bits, const CodePacking& packing, std::uint32_t first,
                            std::uint32_t second) {
  if (bits == 8) {
    *reinterpret_cast<uint2*>(staged) = make_uint2(first, second);
    return;
  }
  if (bits == 4) {
    *reinterpret_cast<std::uint32_t*>(staged) = first + second * packing.second_factor;
    return;
  }
  std::uint64_t codes = first + static_cast<std::uint64_t>(second) * packing.second_factor;
  if (bits % 2 == 0) {
    for (int i = 0; i < bits / 2; ++i, codes >>= 16)
      reinterpret_cast<std::uint16_t*>(staged)[i] = static_cast<std::uint16_t>(codes);
  } else {
    for (int i = 0; i < bits; ++i, codes >>= 8) staged[i] = static_cast<std::uint8_t>(codes);
  }
}

// The warp's staged bytes to their place; `left`: bytes of codes from there on.
__device__ void store_codes(const std::uint8_t* staged, std::uint8_t* codes, std::uint64_t left, int bits,
                            int lane) {
  for (int begin = 16 * lane; begin < kWarpCodes / 8 * bits; begin += 16 * kWarp) {
    if (static_cast<std::uint64_t>(begin) + 16 <= left) {
      __stcs(reinterpret_cast<uint4*>(codes + begin), *reinterpret_cast<const uint4*>(staged + begin));
    } else {
      for (int i = begin; i < begin + 16 && static_cast<std::uint64_t>(i) < left; ++i) codes[i] = staged[i];
    }
  }
}

template <DType dtype, RoundingKind kind, bool kFlat>
__global__ __launch_bounds__(kThreads, 4) void encode_kernel(const EncodeTask task) {
  AFP_SHARED(float, reciprocals, 256);
  AFP_SHARED(uint4, staged_vectors, kThreads / kWarp * kMostWarpBytes / 16);
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  std::uint8_t* const staged = reinterpret_cast<std::uint8_t*>(staged_vectors) + warp * kMostWarpBytes;
  const CodeSpace& space = task.space;
  constexpr std::uint64_t kWeightBytes = weight_bytes(dtype);
  bool has_reciprocals = false;

  for (std::uint64_t tile = blockIdx.x; tile < task.tiles; tile += gridDim.x) {
    const std::uint64_t warp_first = tile * kTileCodes + static_cast<std::uint64_t>(warp * kWarpCodes);
    const std::uint64_t first = warp_first + static_cast<std::uint64_t>(lane * kGroup);
    Group<dtype> groups[kSteps];
    std::uint32_t bytes[kSteps];
    const bool is_whole = kFlat && warp_first + kWarpCodes <= space.weights;
    if (kFlat && is_whole) {
      const std::byte* const weights = task.weights + first * kWeightBytes;
#pragma unroll
      for (int k = 0; k < kSteps; ++k)
        for (int i = 0; i < Group<dtype>::kVectors; ++i)
          groups[k].vectors[i] =
              __ldcs(reinterpret_cast<const uint4*>(weights) + k * kWarp * Group<dtype>::kVectors + i);
    }
    if (kFlat && is_whole && space.kind != BlockKind::row) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k)
        bytes[k] = task.scales[space.scale_index(first + k * kWarp * kGroup, 0)];
    } else {
      GroupCursor cursor(space, first);
#pragma unroll
      for (int k = 0; k < kSteps; ++k, cursor.advance(space)) {
        const int count = cursor.count(space);
        if (!(kFlat && is_whole))
          groups[k] = load_group<dtype>(task.weights + cursor.weight(space) * kWeightBytes, count);
        bytes[k] = count == 0 ? 0 : task.scales[space.scale_index(first + k * kWarp * kGroup, cursor.row())];
      }
    }
    if (!has_reciprocals) {  // while the first loads are on their way
      BlockCodec codec = task.codec;
      if (task.tensor_scale != nullptr) codec.tensor_scale = *task.tensor_scale;
      reciprocals[threadIdx.x] = codec.reciprocal(threadIdx.x);
      __syncthreads();
      has_reciprocals = true;
    }
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      const float reciprocal = reciprocals[bytes[k]];
      const bool is_second = kind != RoundingKind::one_format && (bytes[k] & kUe4m3Alternative) != 0;
      const CodeRounding rounding = choose(task.rounding[0], task.rounding[1], is_second);
      std::uint32_t codes[2];
      for (int half = 0; half < 2; ++half) {
        const float w[4] = {groups[k].weight(4 * half), groups[k].weight(4 * half + 1),
                            groups[k].weight(4 * half + 2), groups[k].weight(4 * half + 3)};
        codes[half] = encode_four<kind>(w, groups[k].signs(half), reciprocal, rounding, task.packing);
      }
      stage_group(staged + (k * kWarp + lane) * task.bits, task.bits, task.packing, codes[0], codes[1]);
    }
    __syncwarp();
    const std::uint64_t bits = static_cast<std::uint64_t>(task.bits);
    if (warp_first < space.codes)
      store_codes(staged, task.codes + warp_first / 8 * bits, (space.codes - warp_first) / 8 * bits,
                  task.bits, lane);
    __syncwarp();
  }
}

template <DType dtype, RoundingKind kind, bool kFlat>
cudaError_t launch_encode(const EncodeTask& task, cudaStream_t stream) {
  // Large tensors: several tiles a block, which share the reciprocals, but still many blocks.
  constexpr std::uint64_t kManyBlocks = 8192;
  const std::uint64_t per_block = task.tiles / kManyBlocks + 1;
  const dim3 grid(static_cast<unsigned>((task.tiles + per_block - 1) / per_block));
  return launch(encode_kernel<dtype, kind, kFlat>, grid, dim3(kThreads), 0, stream, task);
}

template <DType dtype>
cudaError_t launch_encode(const EncodeTask& task, cudaStream_t stream) {
  if (!task.space.is_flat || reinterpret_cast<std::uintptr_t>(task.weights) % sizeof(uint4) != 0)
    return launch_encode<dtype, RoundingKind::any, false>(task, stream);
  switch (rounding_kind(task.codec)) {
    case RoundingKind::few_binades:
      return launch_encode<dtype, RoundingKind::few_binades, true>(task, stream);
    case RoundingKind::one_format:
      return launch_encode<dtype, RoundingKind::one_format, true>(task, stream);
    case RoundingKind::any:
      break;
  }
  return launch_encode<dtype, RoundingKind::any, true>(task, stream);
}

}  // namespace

cudaError_t encode(const Encode& request, cudaStream_t stream) {
  const DevicePiece& piece = request.piece;
  const BlockCodec& codec = request.codec;
  EncodeTask task{};
  task.space = CodeSpace::of(piece.grid, piece.cells);
  task.tiles = ceil_div(task.space.codes, std::uint64_t{kTileCodes});
  task.weights = piece.weights;
  task.scales = request.scales;
  task.codes = request.codes;
  task.tensor_scale = request.tensor_scale;
  task.codec = codec;
  for (int i = 0; i < 2; ++i)
    task.rounding[i] = CodeRounding::of(codec.formats[i < codec.format_count ? i : 0]);
  task.packing = CodePacking::of(codec.bits());
  task.bits = codec.bits();
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
