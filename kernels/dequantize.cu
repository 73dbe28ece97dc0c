// Ceiling: memory, 2 (F32: 4) + N / 8 bytes a weight, most of it written. A warp brings the 128 N bytes of 1024
// codes to shared memory in 16-byte vectors, however they are aligned; a thread then decodes one 16-byte vector
// of weights at a time. On sm_90 12 instructions a bf16 weight, a third of them for the integer pipe: at the
// ceiling about two thirds of what a multiprocessor can issue.
#include "kernels/code_space.hpp"
#include "kernels/code_values.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/device.hpp"
#include "kernels/half_conversion.hpp"

namespace afp::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kMostWarpBytes = kWarpCodes * kMaxBits / 8;
constexpr int kStagedBytes =
    kMostWarpBytes + 32;  // a misaligned first vector, what is read beyond the last code

struct DequantizeTask {
  CodeSpace space;
  std::uint32_t tiles;  // whole ones of kWarpCodes codes, the flat kernel's
  std::uint64_t code_bytes;
  const std::uint8_t* scales;
  const std::uint8_t* codes;
  std::byte* weights;
  const float* tensor_scale;
  float plain_tensor_scale;
  BlockScaleBytes scale_bytes;
  CodeValues values[2];
  std::uint32_t to_top[4];  // code i of four comes to the top of a register by this factor
  int bits;

  __device__ float tensor_factor() const {
    return tensor_scale != nullptr ? *tensor_scale : plain_tensor_scale;
  }
};

// How weights of a type are written: some of them to a vector.
template <DType dtype>
struct Output {
  static constexpr int kWeights = dtype == DType::F32 ? 4 : 8;  // of a vector
  static constexpr float kLargest = dtype == DType::F32    ? 0x1.fffffep127f
                                    : dtype == DType::BF16 ? 0x1.fep127f
                                                           : 65504.0f;

  __device__ static uint4 vector(const float (&w)[kWeights]) {
    if constexpr (dtype == DType::F32) {
      return make_uint4(float_bits(w[0]), float_bits(w[1]), float_bits(w[2]), float_bits(w[3]));
    } else {
      const auto pair = [&](int i) {
        return dtype == DType::BF16 ? floats_to_bf16s(w[i], w[i + 1]) : floats_to_halves(w[i], w[i + 1]);
      };
      return make_uint4(pair(0), pair(2), pair(4), pair(6));
    }
  }
  __device__ static void store_some(std::byte* weights, const uint4& vector, int begin, int end) {
    const std::uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
    for (int i = 0; i < kWeights; ++i) {
      if (i < begin || i >= end) continue;
      if constexpr (dtype == DType::F32)
        reinterpret_cast<std::uint32_t*>(weights)[i] = words[i];
      else
        reinterpret_cast<std::uint16_t*>(weights)[i] =
            static_cast<std::uint16_t>(words[i / 2] >> (16 * (i % 2)));
    }
  }
};

__device__ inline float saturate(float value, float largest) {
  return fmaxf(fminf(value, largest), -largest);
}

// The weights of a vector, all of one block: their codes begin at bit `shift` % 32 of words[0].
template <DType dtype>
__device__ void decode_vector(const DequantizeTask& task, const std::uint32_t (&words)[3],
                              std::uint32_t shift, const CodeValues& values, float scale, float tensor_scale,
                              float (&weights)[Output<dtype>::kWeights]) {
  using Out = Output<dtype>;
  std::uint32_t fours[2] = {__funnelshift_r(words[0], words[1], shift), 0};
  if constexpr (dtype != DType::F32) {
    const std::uint32_t high = __funnelshift_r(words[1], words[2], shift);
    fours[1] =
        static_cast<std::uint32_t>((static_cast<std::uint64_t>(high) << 32 | fours[0]) >> (4 * task.bits));
  }
  for (int j = 0; j < Out::kWeights; ++j)
    weights[j] = values.value(fours[j / 4] * task.to_top[j % 4]) * scale * tensor_scale;
  // Rounding is monotone: where the largest value fits, all do.
  if (!(values.largest_value * scale * tensor_scale <= Out::kLargest))
    for (int j = 0; j < Out::kWeights; ++j) weights[j] = saturate(weights[j], Out::kLargest);
}

// Bytes [begin, begin + 16) of the codes, counted from the 16-byte boundary before them; those outside the
// codes are not read.
__device__ uint4 load_misaligned_codes(const DequantizeTask& task, std::uint64_t begin,
                                       std::uint32_t misaligned) {
  const std::uint8_t* const from = task.codes - misaligned + begin;
  if (begin >= misaligned && begin + 16 <= task.code_bytes + misaligned)
    return __ldcs(reinterpret_cast<const uint4*>(from));
  std::uint32_t words[4] = {};
#pragma unroll
  for (int i = 0; i < 16; ++i)
    if (begin + i >= misaligned && begin + i < task.code_bytes + misaligned)
      words[i / 4] |= static_cast<std::uint32_t>(from[i]) << (8 * (i % 4));
  return make_uint4(words[0], words[1], words[2], words[3]);
}

// A tile's codes to shared memory, `misaligned` bytes behind its beginning.
__device__ void stage_codes(const DequantizeTask& task, std::uint32_t tile, std::uint32_t lane,
                            std::uint32_t misaligned, uint4* staged) {
  const std::uint32_t vectors = kWarpCodes / 8 / 16 * static_cast<std::uint32_t>(task.bits);
  if (misaligned == 0) {
    const auto* const from =
        reinterpret_cast<const uint4*>(task.codes) + std::uint64_t{tile} * vectors + lane;
    if (lane < vectors) staged[lane] = __ldcs(from);
    if (lane + kWarp < vectors) staged[lane + kWarp] = __ldcs(from + kWarp);
  } else {
    const std::uint64_t begin = std::uint64_t{tile} * vectors * 16;
#pragma unroll 1
    for (std::uint32_t i = lane; i <= vectors; i += kWarp)
      staged[i] = load_misaligned_codes(task, begin + 16 * i, misaligned);
  }
}

// Weight i has code i, and 16-byte vectors of weights are aligned.
template <DType dtype, bool kPair>
__global__ __launch_bounds__(kThreads, 5) void dequantize_flat_kernel(const DequantizeTask task) {
  using Out = Output<dtype>;
  constexpr int kSteps = kWarpCodes / kWarp / Out::kWeights;
  constexpr int kStride = kWarp * Out::kWeights;
  AFP_SHARED(uint4, staged_vectors, kThreads / kWarp * kStagedBytes / 16);
  const std::uint32_t lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::uint32_t tile = blockIdx.x * (kThreads / kWarp) + warp;
  if (tile >= task.tiles) return;
  uint4* const staged = staged_vectors + warp * (kStagedBytes / 16);
  const std::uint32_t misaligned = reinterpret_cast<std::uintptr_t>(task.codes) % 16;
  std::uint32_t bytes[kSteps];
  load_scale_bytes<kSteps, kStride>(task.space, task.scales, tile, lane * Out::kWeights, bytes);
  const float tensor_scale = task.tensor_factor();
  stage_codes(task, tile, lane, misaligned, staged);
  __syncwarp();

  const auto* const words = reinterpret_cast<const std::uint32_t*>(staged);
  const std::uint64_t first = std::uint64_t{tile} * kWarpCodes + lane * Out::kWeights;
  auto* const out = reinterpret_cast<uint4*>(task.weights + first * weight_bytes(dtype));
  std::uint32_t bit = 8 * misaligned + lane * (Out::kWeights * task.bits);
#pragma unroll
  for (int k = 0; k < kSteps; ++k, bit += kStride * task.bits) {
    const CodeValues values =
        choose(task.values[0], task.values[1], kPair && (bytes[k] & kUe4m3Alternative) != 0);
    const float scale = task.scale_bytes.scale(bytes[k]);
    const std::uint32_t* const at = words + bit / 32;
    const std::uint32_t window[3] = {at[0], at[1], at[2]};
    float weights[Out::kWeights];
    decode_vector<dtype>(task, window, bit, values, scale, tensor_scale, weights);
    __stcs(out + k * kWarp, Out::vector(weights));
  }
}

// A vector of weights of one row, and of two blocks at most, wherever its codes are; false: so near an end of
// the codes that the words around them may be no memory.
template <DType dtype>
__device__ bool decode_within_row(const DequantizeTask& task, std::uint64_t code, std::uint64_t row,
                                  float tensor_scale, float (&weights)[Output<dtype>::kWeights]) {
  constexpr int kWeights = Output<dtype>::kWeights;
  const std::uint64_t bit = code * static_cast<std::uint64_t>(task.bits);
  const std::uint8_t* const at = task.codes + bit / 8;
  const auto misaligned = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(at) % 4);
  if (bit / 8 < misaligned || bit / 8 - misaligned + 12 > task.code_bytes) return false;
  const auto* const from = reinterpret_cast<const std::uint32_t*>(at - misaligned);
  const std::uint32_t words[3] = {from[0], from[1], from[2]};
  const std::uint32_t shift = 8 * misaligned + static_cast<std::uint32_t>(bit % 8);
  const auto decode = [&](std::uint64_t block, float(&result)[kWeights]) {
    const std::uint32_t byte = task.scales[block];
    const CodeValues values = choose(task.values[0], task.values[1], task.scale_bytes.is_second(byte));
    decode_vector<dtype>(task, words, shift, values, task.scale_bytes.scale(byte), tensor_scale, result);
  };
  const std::uint64_t first = task.space.scale_index(code, row);
  const std::uint64_t last = task.space.scale_index(code + kWeights - 1, row);
  decode(first, weights);
  if (last != first) {
    float others[kWeights];
    decode(last, others);
    const int end = static_cast<int>((last << task.space.scale_shift) - code);
    for (int j = 0; j < kWeights; ++j)
      if (j >= end) weights[j] = others[j];
  }
  return true;
}

// Any shape and alignment, and what is left of a flat range, weights from `begin` on: a thread takes an
// aligned vector of weights, at the ends of rows one by one.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void dequantize_any_kernel(const DequantizeTask task,
                                                                  std::uint64_t begin,
                                                                  std::uint32_t misaligned) {
  using Out = Output<dtype>;
  const CodeSpace& space = task.space;
  // The first vector begins `misaligned` weights before them.
  const std::uint64_t index = (std::uint64_t{blockIdx.x} * kThreads + threadIdx.x) * Out::kWeights;
  const int skip = index == 0 ? static_cast<int>(misaligned) : 0;
  const std::uint64_t first = begin + index + skip - misaligned;
  if (first >= space.weights) return;
  const std::uint64_t left = space.weights - first + skip;
  const int end = left < Out::kWeights ? static_cast<int>(left) : Out::kWeights;
  const float tensor_scale = task.tensor_factor();

  std::uint64_t column, row;
  row = space.by_column.divide(space.first_code + first, column);
  float weights[Out::kWeights] = {};
  std::byte* const to = task.weights + (first - skip) * weight_bytes(dtype);
  if (skip == 0 && end == Out::kWeights && column + Out::kWeights <= space.columns &&
      decode_within_row<dtype>(task, row * space.row_codes + column - space.first_code, row, tensor_scale,
                               weights)) {
    __stcs(reinterpret_cast<uint4*>(to), Out::vector(weights));
    return;
  }
#pragma unroll
  for (int j = 0; j < Out::kWeights; ++j) {
    if (j < skip || j >= end) continue;
    const std::uint64_t code = row * space.row_codes + column - space.first_code;
    const std::uint32_t byte = task.scales[space.scale_index(code, row)];
    const CodeValues values = choose(task.values[0], task.values[1], task.scale_bytes.is_second(byte));
    const std::uint32_t bits = unpack_code(task.codes, code, task.bits);
    const float value = values.value(bits << (32 - task.bits));
    weights[j] = saturate(value * task.scale_bytes.scale(byte) * tensor_scale, Out::kLargest);
    if (++column == space.columns) {
      column = 0;
      ++row;
    }
  }
  const uint4 vector = Out::vector(weights);
  if (skip == 0 && end == Out::kWeights)
    *reinterpret_cast<uint4*>(to) = vector;
  else
    Out::store_some(to, vector, skip, end);
}

template <DType dtype>
cudaError_t launch_dequantize(DequantizeTask& task, cudaStream_t stream) {
  using Out = Output<dtype>;
  constexpr std::uint64_t kWarps = kThreads / kWarp;
  const std::uint64_t misaligned =
      reinterpret_cast<std::uintptr_t>(task.weights) % sizeof(uint4) / weight_bytes(dtype);
  if (task.space.is_flat && misaligned == 0 && task.space.weights >= kWarpCodes) {
    task.tiles = static_cast<std::uint32_t>(task.space.weights / kWarpCodes);
    const cudaError_t error = launch(
        task.scale_bytes.is_pair ? dequantize_flat_kernel<dtype, true> : dequantize_flat_kernel<dtype, false>,
        dim3(static_cast<unsigned>(ceil_div(std::uint64_t{task.tiles}, kWarps))), dim3(kThreads), 0, stream,
        task);
    if (error != cudaSuccess) return error;
  }
  const std::uint64_t begin = std::uint64_t{task.tiles} * kWarpCodes;
  if (begin == task.space.weights) return cudaSuccess;
  const std::uint64_t vectors =
      ceil_div(task.space.weights - begin + misaligned, static_cast<std::uint64_t>(Out::kWeights));
  return launch(dequantize_any_kernel<dtype>,
                dim3(static_cast<unsigned>(ceil_div(vectors, std::uint64_t{kThreads}))), dim3(kThreads), 0,
                stream, task, begin, static_cast<std::uint32_t>(misaligned));
}

}  // namespace

cudaError_t dequantize(const Dequantize& request, cudaStream_t stream) {
  const BlockCodec& codec = request.codec;
  DequantizeTask task{};
  task.space = CodeSpace::of(request.grid, request.cells);
  task.code_bytes = packed_bytes(task.space.codes, codec.bits());
  task.scales = request.scales;
  task.codes = request.codes;
  task.weights = request.weights;
  task.tensor_scale = request.tensor_scale;
  task.plain_tensor_scale = codec.tensor_scale;
  task.scale_bytes = {codec.is_e8m0(), codec.format_count == 2};
  for (int i = 0; i < 2; ++i) task.values[i] = CodeValues::of(codec.formats[i < codec.format_count ? i : 0]);
  task.bits = codec.bits();
  for (int i = 0; i < 4; ++i) task.to_top[i] = 1u << (32 - (i + 1) * task.bits);
  switch (request.dtype) {
    case DType::BF16:
      return launch_dequantize<DType::BF16>(task, stream);
    case DType::F16:
      return launch_dequantize<DType::F16>(task, stream);
    case DType::F32:
      return launch_dequantize<DType::F32>(task, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace afp::kernels
