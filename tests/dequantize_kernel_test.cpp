// The kernel from codes to weights, held to the CPU backend byte by byte.
#include <gtest/gtest.h>

#include "code_kernel_cases.hpp"
#include "device_array.hpp"
#include "kernels/dequantize.hpp"

namespace afp {
namespace {

using kernels::Dequantize;

constexpr std::size_t kGuard = 48;

const Backend& cpu() {
  static const std::unique_ptr<Backend> backend = make_cpu_backend(1);
  return *backend;
}

struct Variant {
  std::size_t code_shift = 0;    // bytes from a 16-byte boundary
  std::size_t weight_shift = 0;  // weights from one
  bool scale_on_device = false;
};

// Codes and scales of a range of cells, any bytes that may occur.
struct Range {
  BlockGrid grid;
  CellRange cells;
  std::vector<std::uint8_t> scales, codes;

  Range(const Encoding& encoding, const Shape& shape, CellRange range, std::uint64_t seed)
      : grid(encoding.block, encoding.bits(), shape), cells(range) {
    if (cells.count == 0) return;
    const std::uint64_t end = cells.first + cells.count;
    const std::size_t blocks = grid.scale_index(end - 1) - grid.scale_index(cells.first) + 1;
    const bool e8m0 = encoding.scale == ScaleKind::e8m0;
    for (std::size_t i = 0; i < blocks; ++i) {
      const std::uint64_t random = sample::bits(seed, i);
      // Half of them about 1, so that weights of all types are neither zero nor saturated.
      const auto byte = e8m0 ? (random % 2 == 0 ? 120 + random / 2 % 16 : random / 2 % 255)
                             : random / 2 % 127 + (encoding.alternative ? random / 256 % 2 * 128 : 0);
      scales.push_back(static_cast<std::uint8_t>(byte));
    }
    const std::size_t bytes = grid.code_begin(end) - grid.code_begin(cells.first);
    for (std::size_t i = 0; i < bytes; ++i)
      codes.push_back(static_cast<std::uint8_t>(sample::bits(seed + 1, i)));
  }
};

void expect_cpu_weights(const Range& range, const TensorCodec& codec, DType dtype, const Variant& variant) {
  const BlockGrid& grid = range.grid;
  const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  const std::uint64_t end = range.cells.first + range.cells.count;
  const std::size_t bytes =
      range.cells.count == 0 ? 0 : (grid.weight_begin(end) - grid.weight_begin(range.cells.first)) * width;
  std::vector<std::byte> expected(bytes, std::byte{0xAA});
  cpu().dequantize(grid, range.cells, codec, range.scales, range.codes, dtype, expected);

  std::vector<std::uint8_t> shifted(variant.code_shift, 0xFF);
  shifted.insert(shifted.end(), range.codes.begin(), range.codes.end());
  const DeviceArray<std::uint8_t> device_codes(shifted), device_scales(range.scales);
  const DeviceArray<float> tensor_scale(std::vector<float>{codec.tensor_scale});
  const std::size_t begin = kGuard + variant.weight_shift * width;
  DeviceArray<std::byte> weights(std::vector<std::byte>(begin + bytes + kGuard, std::byte{0xAA}));
  Dequantize task{grid,    range.cells,           block_codec(codec),
                  nullptr, device_scales.data(),  device_codes.data() + variant.code_shift,
                  dtype,   weights.data() + begin};
  if (variant.scale_on_device) {
    task.tensor_scale = tensor_scale.data();
    task.codec.tensor_scale = 3.0f;
  }
  ASSERT_EQ(kernels::dequantize(task, nullptr), cudaSuccess);
  const std::vector<std::byte> found = weights.read();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool inside = i >= begin && i < begin + bytes;
    ASSERT_EQ(static_cast<int>(found[i]), inside ? static_cast<int>(expected[i - begin]) : 0xAA)
        << "byte " << static_cast<std::ptrdiff_t>(i - begin) << " of " << bytes;
  }
}

float any_tensor_scale(std::uint64_t random) {
  constexpr float kScales[] = {1.0f, 0x1p-5f, 0.7f, 1e30f, 3e-33f, 0x1p-117f};
  return kScales[random % std::size(kScales)];
}

TEST(DequantizeKernel, IsTheCpuBackend) {
  std::uint64_t number = 0;
  for (const std::string& text : kernel_cases::formats_and_scales())
    for (const char* const block : kernel_cases::kBlocks)
      for (const DType dtype : kernel_cases::kDTypes)
        for (int i = 0; i < 3; ++i) {
          const std::uint64_t random = sample::bits(31, ++number), place = random / 1024;
          if (sample::kSlow && place % 10 != 0) continue;
          const Shape& shape = random % 16 == 0
                                   ? kernel_cases::kLargeShapes[place % std::size(kernel_cases::kLargeShapes)]
                                   : kernel_cases::kShapes[place % std::size(kernel_cases::kShapes)];
          const Encoding encoding = kernel_cases::with_block(text, block);
          const std::uint64_t cells = BlockGrid(encoding.block, encoding.bits(), shape).cells();
          // All of them, or any range.
          CellRange range{0, cells};
          if (random / 16 % 2 != 0 && cells != 0) {
            range.first = random / 32 % cells;
            range.count = place / 64 % (cells - range.first + 1);
          }
          SCOPED_TRACE(to_string(encoding) + " " + to_string(shape) + " " + std::string(dtype_name(dtype)) +
                       " cells " + std::to_string(range.first) + " + " + std::to_string(range.count));
          expect_cpu_weights(Range(encoding, shape, range, number), {encoding, any_tensor_scale(place)},
                             dtype,
                             {place / 8 % 3 == 0 ? place / 32 % 16 : 0,
                              place / 16 % 3 == 0 ? place / 256 % 8 : 0, place % 2 == 0});
          if (HasFatalFailure()) return;
        }
}

TEST(DequantizeKernel, RangesLongerThanAWarpTakes) {
  const struct {
    const char* encoding;
    Shape shape;
  } cases[] = {{"E2M1/tensor", {3, 7001}},    {"E2M3/tensor", {4, 4000}},  {"E4M2/row", {5, 3016}},
               {"E3M3/row", {70, 99}},        {"E1M2+E2M1/16", {2, 6000}}, {"E2M0/32/e8m0", {3, 5001}},
               {"E5M2/128/e8m0", {300, 128}}, {"E1M3/64", {1, 40000}},     {"E3M1/tensor", {1, 31177}},
               {"E4M3/row", {300, 64}},       {"E1M0/16", {1, 30000}},     {"E2M2/row", {9, 4096}},
               {"E1M6+E2M5/16", {1000, 48}}};
  std::uint64_t number = 5000;
  for (const auto& [text, shape] : cases)
    for (const DType dtype : kernel_cases::kDTypes)
      for (int i = 0; i < 4; ++i) {
        const std::uint64_t random = sample::bits(32, ++number);
        if (sample::kSlow && i != 0) continue;
        const Encoding encoding = parse_encoding(text);
        const std::uint64_t cells = BlockGrid(encoding.block, encoding.bits(), shape).cells();
        const CellRange range{i == 0 ? 0 : random % (cells / 2), i == 0 ? cells : cells / 2};
        SCOPED_TRACE(std::string(text) + " " + to_string(shape) + " " + std::string(dtype_name(dtype)) +
                     " cells " + std::to_string(range.first) + " + " + std::to_string(range.count));
        expect_cpu_weights(Range(encoding, shape, range, number), {encoding, any_tensor_scale(random / 64)},
                           dtype, {i == 2 ? random / 8 % 16 : 0, i == 3 ? 3u : 0u, false});
        if (HasFatalFailure()) return;
      }
}

// Every code under scales over the whole range: gradual underflow and saturation of all types.
TEST(DequantizeKernel, EveryCodeUnderScalesOfAllSizes) {
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (const Format format : formats_of(bits)) {
      const std::uint64_t codes = 1u << bits;
      for (const ScaleKind kind : {ScaleKind::e8m0, ScaleKind::ue4m3}) {
        const Encoding encoding{format, {}, {BlockKind::row, 0}, kind};
        std::vector<std::uint8_t> scales;
        for (int byte = 0; byte < (kind == ScaleKind::e8m0 ? 255 : 127);
             byte += kind == ScaleKind::e8m0 && byte >= 8 && byte < 243 ? 5 : 1)
          scales.push_back(static_cast<std::uint8_t>(byte));
        const Shape shape{scales.size(), std::max<std::uint64_t>(codes, 32)};
        Range range(encoding, shape, {0, BlockGrid(encoding.block, bits, shape).cells()}, 77);
        range.scales = scales;
        std::fill(range.codes.begin(), range.codes.end(), std::uint8_t{0});
        for (std::uint64_t row = 0; row < shape[0]; ++row)
          for (std::uint64_t i = 0; i < shape[1]; ++i)
            pack_code(range.codes.data() + row * range.grid.row_bytes, i, bits,
                      static_cast<std::uint32_t>(i % codes));
        SCOPED_TRACE(to_string(encoding));
        const std::size_t which = static_cast<std::size_t>(bits + format.exponent_bits);
        const float tensor_scale = kind == ScaleKind::e8m0 ? 1.0f : any_tensor_scale(which);
        expect_cpu_weights(range, {encoding, tensor_scale}, kernel_cases::kDTypes[which % 3], {});
        expect_cpu_weights(range, {encoding, tensor_scale}, kernel_cases::kDTypes[(which + 1) % 3],
                           {0, 1, true});
        if (HasFatalFailure()) return;
      }
    }
}

TEST(DequantizeKernel, AnUnknownTypeIsRefused) {
  const BlockGrid grid({BlockKind::tensor, 0}, 4, {16});
  const Dequantize task{grid,       {0, 1},  block_codec({parse_encoding("E2M1/tensor"), 1.0f}),
                        nullptr,    nullptr, nullptr,
                        DType::I16, nullptr};
  EXPECT_EQ(kernels::dequantize(task, nullptr), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace afp
