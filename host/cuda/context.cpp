// Bodies of afp/cuda.hpp's Context: which kernels in which order, and how the workspace is divided.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "afp/cuda.hpp"
#include "afp/error.hpp"
#include "host/cuda/check.hpp"
#include "host/cuda/cuda_backend.hpp"
#include "host/cuda/range.hpp"
#include "host/cuda/tensor_tables.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/encode.hpp"
#include "kernels/search_cells.hpp"
#include "kernels/search_rows.hpp"
#include "kernels/single_tensor.hpp"

namespace afp::cuda {
namespace {

constexpr const char* kLaunching = "starting a kernel";

void require_float_weights(DType dtype) {
  if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
    throw UsageError("weights on a device are BF16, F16 or F32, found " + std::string(dtype_name(dtype)));
}

// What a kernel would fail on, and with it everything the program does on the device from then on.
void require_memory(const void* memory, std::size_t alignment, const char* what) {
  if (memory == nullptr || reinterpret_cast<std::uintptr_t>(memory) % alignment != 0)
    throw UsageError(std::string(what) + (memory == nullptr ? " are at a null pointer" : " are not aligned") +
                     "; expected device memory aligned to " + std::to_string(alignment) +
                     (alignment == 1 ? " byte" : " bytes"));
}

BlockGrid grid_of(const Encoding& encoding, const Shape& shape) {
  return BlockGrid(encoding.block, encoding.bits(), shape);
}

// What quantize() works in.
struct QuantizePlaces {
  QuantizePlaces(void* memory, const BlockGrid& grid, DType dtype) : places(memory) {
    extent = places.take<kernels::RawExtent>(1);
    if (grid.block.kind == BlockKind::row && !blocks_are_cells(grid))
      row_sums = places.take<StripSums>(grid.rows);
    if (grid.block.kind != BlockKind::tensor) return;
    tables = places.take<std::uint64_t>(sums_of(dtype) * kernels::keys_of(dtype));
    largest = places.take<unsigned int>(1);
    keys = take_key_arrays(places, dtype, Objective::mse);
    tensor = places.take<kernels::SingleTensor>(1);
    cost = places.take<double>(1);
    scale = places.take<TensorScale>(1);
  }

  Places places;
  kernels::RawExtent* extent = nullptr;
  StripSums* row_sums = nullptr;
  std::uint64_t* tables = nullptr;
  unsigned int* largest = nullptr;
  kernels::KeyArrays keys;
  kernels::SingleTensor* tensor = nullptr;
  double* cost = nullptr;
  TensorScale* scale = nullptr;
};

void copy_count(const unsigned long long* from, std::uint64_t* to, cudaStream_t stream) {
  if (to == nullptr) return;
  check(cudaMemcpyAsync(to, from, sizeof *to, cudaMemcpyDeviceToDevice, stream), "copying on the device");
}

// Of a tensor block the scale, by its Statistics.
void choose_tensor_scale(const kernels::DevicePiece& piece, const BlockCodec& codec, int multiprocessors,
                         const QuantizePlaces& work, const Packed& packed, cudaStream_t stream) {
  const DType dtype = piece.dtype;
  const std::uint64_t weights = piece.weight_count();
  const std::uint64_t chunks = ceil_div(weights, kernels::kStatisticsChunk);
  const kernels::StatisticsTables tables = tables_at(work.tables, dtype, work.largest);
  const std::size_t bytes = sums_of(dtype) * kernels::keys_of(dtype) * sizeof(std::uint64_t);
  check(cudaMemsetAsync(work.tables, 0, bytes, stream), "clearing device memory");
  check(cudaMemsetAsync(work.largest, 0, sizeof *work.largest, stream), "clearing device memory");
  const kernels::SingleTensor tensor{{piece.weights, weights, tables},
                                     {0, chunks},
                                     {tables, nullptr, false, work.keys},
                                     {work.keys, nullptr, nullptr, 0},
                                     codec};
  check(kernels::write_tensor(tensor, work.tensor, stream), kLaunching);
  kernels::SingleTensor* const on_device = work.tensor;
  check(kernels::statistics(
            {dtype, &on_device->statistics, {on_device->first_chunk, 1}, chunks, multiprocessors}, stream),
        kLaunching);
  check(kernels::lay_out_keys({dtype, &on_device->keys, 1}, stream), kLaunching);
  check(kernels::tensor_costs(
            {dtype, Objective::mse, &on_device->costs, &on_device->candidate, 1, 1, work.cost, work.scale},
            stream),
        kLaunching);
  check(kernels::store_scale(work.scale, packed.scales, packed.tensor_scale, stream), kLaunching);
}

}  // namespace

Context::Context(int device) : device_(device) {
  const CudaMachine machine = cuda_machine();
  BackendChoice choice;
  choice.kind = BackendKind::cuda;
  choice.devices.indices = {device};
  (void)choose_devices(choice, machine);
  check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device),
        "asking for a device's properties");
}

std::size_t Context::quantize_workspace(const Weights& weights, const Encoding& encoding) const {
  return QuantizePlaces(nullptr, grid_of(encoding, weights.shape), weights.dtype).places.bytes();
}

void Context::quantize(const Weights& weights, const Encoding& encoding, Effort effort, const Packed& packed,
                       void* workspace, StreamHandle stream, std::uint64_t* nonfinite) const {
  const Range range("afp::cuda::quantize");
  require_float_weights(weights.dtype);
  const BlockGrid grid = grid_of(encoding, weights.shape);
  const bool is_ue4m3 = encoding.scale == ScaleKind::ue4m3;
  const bool is_tensor_block = grid.block.kind == BlockKind::tensor;
  if (is_tensor_block && is_ue4m3 && weights.dtype == DType::F32)
    throw UsageError(
        "the scale of a tensor block of F32 weights under ue4m3 cannot be chosen on the device; "
        "expected BF16 or F16 weights, e8m0, or smaller blocks");
  if (grid.weights() == 0) {
    if (nonfinite != nullptr)
      check(cudaMemsetAsync(nonfinite, 0, sizeof *nonfinite, stream), "clearing device memory");
    return;
  }
  require_memory(weights.data, static_cast<std::size_t>(dtype_bits(weights.dtype)) / 8, "weights");
  require_memory(packed.codes, 16, "codes");
  require_memory(packed.scales, 1, "scales");
  require_memory(workspace, 16, "the bytes of the workspace");
  if (is_ue4m3) require_memory(packed.tensor_scale, sizeof(float), "the bytes of the tensor's scale");
  const QuantizePlaces work(workspace, grid, weights.dtype);
  const kernels::DevicePiece piece{
      grid, {0, grid.cells()}, weights.dtype, static_cast<const std::byte*>(weights.data)};
  const BlockCodec codec = block_codec({encoding, 1.0f});
  const float* const tensor_scale = is_ue4m3 ? packed.tensor_scale : nullptr;

  if (is_tensor_block) {
    choose_tensor_scale(piece, codec, multiprocessors_, work, packed, stream);
    copy_count(&work.keys.facts->nonfinite, nonfinite, stream);
    check(kernels::encode({piece, codec, tensor_scale, packed.scales, packed.codes}, stream), kLaunching);
    return;
  }
  if (is_ue4m3 || nonfinite != nullptr) {
    check(kernels::begin_extent(work.extent, stream), kLaunching);
    check(kernels::extent({weights.dtype, piece.weights, grid.weights(), multiprocessors_, work.extent},
                          stream),
          kLaunching);
    copy_count(&work.extent->nonfinite, nonfinite, stream);
  }
  if (is_ue4m3)
    check(kernels::tensor_scale({work.extent, encoding.smallest_max_value(), packed.tensor_scale}, stream),
          kLaunching);
  const std::uint64_t strip = cells_per_strip(grid);
  if (blocks_are_cells(grid)) {
    check(kernels::search_cells(
              {piece, strip, codec, tensor_scale, effort, packed.scales, nullptr, packed.codes}, stream),
          kLaunching);
    return;
  }
  check(kernels::search_rows(
            {piece, strip, {codec}, 1, tensor_scale, 1, packed.scales, work.row_sums, nullptr}, stream),
        kLaunching);
  check(kernels::encode({piece, codec, tensor_scale, packed.scales, packed.codes}, stream), kLaunching);
}

void Context::dequantize(const Packed& packed, const Encoding& encoding, const Shape& shape, DType dtype,
                         void* weights, StreamHandle stream) const {
  const Range range("afp::cuda::dequantize");
  require_float_weights(dtype);
  const BlockGrid grid = grid_of(encoding, shape);
  if (grid.weights() == 0) return;
  const bool is_ue4m3 = encoding.scale == ScaleKind::ue4m3;
  require_memory(weights, static_cast<std::size_t>(dtype_bits(dtype)) / 8, "weights");
  require_memory(packed.codes, 1, "codes");
  require_memory(packed.scales, 1, "scales");
  if (is_ue4m3) require_memory(packed.tensor_scale, sizeof(float), "the bytes of the tensor's scale");
  const float* const tensor_scale = is_ue4m3 ? packed.tensor_scale : nullptr;
  check(kernels::dequantize({grid,
                             {0, grid.cells()},
                             block_codec({encoding, 1.0f}),
                             tensor_scale,
                             packed.scales,
                             packed.codes,
                             dtype,
                             static_cast<std::byte*>(weights)},
                            stream),
        kLaunching);
}

}  // namespace afp::cuda
