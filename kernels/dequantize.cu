// Ceiling: memory, 2 (F32: 4) + N / 8 bytes a weight, most of it written. A warp brings the 128 N bytes of
// 1024 codes to shared memory in 16-byte vectors, however they are aligned; a thread then decodes one 16-byte
// vector of weights at a time.
#include "kernels/code_space.hpp"
#include "kernels/code_values.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/device.hpp"
#include "kernels/half_conversion.hpp"

namespace afp::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWarpWeights = 1024;
constexpr int kTileWeights = kWarpWeights * (kThreads / kWarp);
constexpr int kMostWarpBytes = kWarpWeights * kMaxBits / 8;
constexpr int kStagedBytes =
    kMostWarpBytes + 32;  // a misaligned first vector, what is read beyond the last code

struct DequantizeTask {
  CodeSpace space;
  std::uint64_t tiles;
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
  __device__ static void store_first(std::byte* weights, const uint4& vector, int begin, int end) {
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

// Bytes [begin, begin + 16) of the codes, counted from the 16-byte boundary before them, to shared memory;
// those outside the codes are not read.
__device__ uint4 load_codes(const DequantizeTask& task, std::uint64_t begin, int misaligned) {
  const std::uint8_t* const from = task.codes - misaligned + begin;
  if (begin >= static_cast<std::uint64_t>(misaligned) && begin + 16 <= task.code_bytes + misaligned)
    return __ldcs(reinterpret_cast<const uint4*>(from));
  std::uint32_t words[4] = {};
  for (int i = 0; i < 16; ++i)
    if (begin + i >= static_cast<std::uint64_t>(misaligned) && begin + i < task.code_bytes + misaligned)
      words[i / 4] |= static_cast<std::uint32_t>(from[i]) << (8 * (i % 4));
  return make_uint4(words[0], words[1], words[2], words[3]);
}

// Weight i has code i, and 16-byte vectors of weights are aligned.
template <DType dtype, bool kPair>
__global__ __launch_bounds__(kThreads, 4) void dequantize_flat_kernel(const DequantizeTask task) {
  using Out = Output<dtype>;
  constexpr int kSteps = kWarpWeights / kWarp / Out::kWeights;
  AFP_SHARED(uint4, staged_vectors, kThreads / kWarp * kStagedBytes / 16);
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  uint4* const staged = staged_vectors + warp * (kStagedBytes / 16);
  const auto* const words = reinterpret_cast<const std::uint32_t*>(staged);
  const CodeSpace& space = task.space;
  const int misaligned = static_cast<int>(reinterpret_cast<std::uintptr_t>(task.codes) % 16);
  const int vectors = 8 * task.bits + (misaligned != 0);
  const float tensor_scale = task.tensor_factor();

  const std::uint64_t warp_first =
      std::uint64_t{blockIdx.x} * kTileWeights + static_cast<std::uint64_t>(warp * kWarpWeights);
  if (warp_first >= space.weights) return;
  const std::uint64_t first = warp_first + static_cast<std::uint64_t>(lane * Out::kWeights);
  const std::uint64_t first_byte = warp_first / 8 * static_cast<std::uint64_t>(task.bits);

  for (int i = lane; i < vectors; i += kWarp) staged[i] = load_codes(task, first_byte + 16 * i, misaligned);
  std::uint32_t bytes[kSteps];
  if (space.kind == BlockKind::row) {
    std::uint64_t column, row = space.by_row.divide(space.first_code + first, column);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      bytes[k] = first + k * kWarp * Out::kWeights < space.weights ? task.scales[row] : 0;
      column += kWarp * Out::kWeights;
      for (; column >= space.row_codes; column -= space.row_codes) ++row;
    }
  } else {
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      const std::uint64_t i = first + k * kWarp * Out::kWeights;
      bytes[k] = i < space.weights ? task.scales[space.scale_index(i, 0)] : 0;
    }
  }
  __syncwarp();

#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
    const std::uint64_t i = first + k * kWarp * Out::kWeights;
    const CodeValues values =
        choose(task.values[0], task.values[1], kPair && (bytes[k] & kUe4m3Alternative) != 0);
    const float scale = task.scale_bytes.scale(bytes[k]);
    const int bit = 8 * misaligned + (k * kWarp + lane) * Out::kWeights * task.bits;
    const std::uint32_t* const window = words + bit / 32;
    std::uint32_t fours[2] = {__funnelshift_r(window[0], window[1], static_cast<unsigned>(bit)), 0};
    if constexpr (dtype != DType::F32) {
      const std::uint32_t high = __funnelshift_r(window[1], window[2], static_cast<unsigned>(bit));
      fours[1] =
          static_cast<std::uint32_t>((static_cast<std::uint64_t>(high) << 32 | fours[0]) >> (4 * task.bits));
    }
    float weights[Out::kWeights];
    for (int j = 0; j < Out::kWeights; ++j)
      weights[j] = values.value(fours[j / 4] * task.to_top[j % 4]) * scale * tensor_scale;
    // Rounding is monotone: where the largest value fits, all do.
    if (!(values.largest_value * scale * tensor_scale <= Out::kLargest))
      for (int j = 0; j < Out::kWeights; ++j) weights[j] = saturate(weights[j], Out::kLargest);
    const uint4 vector = Out::vector(weights);
    std::byte* const to = task.weights + i * weight_bytes(dtype);
    if (i + Out::kWeights <= space.weights)
      __stcs(reinterpret_cast<uint4*>(to), vector);
    else if (i < space.weights)
      Out::store_first(to, vector, 0, static_cast<int>(space.weights - i));
  }
}

// Any shape and alignment: a thread takes the weights of an aligned vector one by one, wherever their codes
// are.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void dequantize_any_kernel(const DequantizeTask task, int head) {
  using Out = Output<dtype>;
  const CodeSpace& space = task.space;
  const std::uint64_t vector_index = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  // The first vector begins `head` weights before the range.
  const std::uint64_t begin = vector_index == 0 ? static_cast<std::uint64_t>(head) : 0;
  const std::uint64_t first = vector_index * Out::kWeights + begin - head;  // in the range
  if (first >= space.weights) return;
  const std::uint64_t end =
      space.weights - first < Out::kWeights - begin ? begin + space.weights - first : Out::kWeights;
  const float tensor_scale = task.tensor_factor();

  std::uint64_t column, row;
  row = space.by_column.divide(space.first_code + first, column);
  float weights[Out::kWeights] = {};
  for (int j = 0; j < Out::kWeights; ++j) {
    if (j < static_cast<int>(begin) || j >= static_cast<int>(end)) continue;
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
  std::byte* const to = task.weights + (first - begin) * weight_bytes(dtype);
  if (begin == 0 && end == Out::kWeights)
    __stcs(reinterpret_cast<uint4*>(to), vector);
  else
    Out::store_first(to, vector, static_cast<int>(begin), static_cast<int>(end));
}

template <DType dtype>
cudaError_t launch_dequantize(const DequantizeTask& task, cudaStream_t stream) {
  using Out = Output<dtype>;
  const std::uint64_t misaligned = reinterpret_cast<std::uintptr_t>(task.weights) % sizeof(uint4);
  if (task.space.is_flat && misaligned == 0) {
    const dim3 grid(static_cast<unsigned>(ceil_div(task.space.weights, std::uint64_t{kTileWeights})));
    return launch(
        task.scale_bytes.is_pair ? dequantize_flat_kernel<dtype, true> : dequantize_flat_kernel<dtype, false>,
        grid, dim3(kThreads), 0, stream, task);
  }
  const std::uint64_t head = misaligned / weight_bytes(dtype);
  const std::uint64_t vectors = ceil_div(task.space.weights + head, std::uint64_t{Out::kWeights});
  if (task.space.weights == 0) return cudaSuccess;
  return launch(dequantize_any_kernel<dtype>,
                dim3(static_cast<unsigned>(ceil_div(vectors, std::uint64_t{kThreads}))), dim3(kThreads), 0,
                stream, task, static_cast<int>(head));
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
