// Choosing scales on the device, and codes in the same pass: byte for byte what the CPU backend gives.
#include <gtest/gtest.h>

#include "device_array.hpp"
#include "kernel_cases.hpp"
#include "kernels/search_cells.hpp"
#include "quantized.hpp"

namespace afp {
namespace {

using sample::Family;

struct Wanted {
  bool sums = true, codes = true, scale_in_memory = false;
};

// The tensor through the kernel, piece by piece. Device memory is no longer than the contract says.
Quantized on_device(const Tensor& tensor, Effort effort, Cutting cutting = {}, Wanted wanted = {}) {
  const BlockGrid grid = tensor.grid();
  Quantized result = rubbish(grid);
  for_each_piece(
      tensor, grid, {cutting.strips_per_piece, false},
      [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
        const DeviceWeights weights(piece, cutting.unaligned);
        const std::span<std::uint8_t> scales = scales_of(piece, result.scales),
                                      codes = codes_of(piece, result.codes);
        const std::span<StripSums> sums = part(result.sums, strip, strip + strips);
        DeviceArray<std::uint8_t> device_scales((std::span<const std::uint8_t>(scales))),
            device_codes((std::span<const std::uint8_t>(codes)));
        DeviceArray<StripSums> device_sums((std::span<const StripSums>(sums)));
        BlockCodec codec = block_codec(tensor.codec());
        const DeviceArray<float> scale(std::vector<float>{codec.tensor_scale});
        if (wanted.scale_in_memory) codec.tensor_scale = 77.0f;
        require_success(kernels::search_cells(
            {weights.piece(), cells_per_strip(grid), codec, wanted.scale_in_memory ? scale.data() : nullptr,
             effort, device_scales.data(), wanted.sums ? device_sums.data() : nullptr,
             wanted.codes ? device_codes.data() : nullptr},
            nullptr));
        copy_back(device_scales, scales);
        copy_back(device_codes, codes);
        copy_back(device_sums, sums);
      });
  return result;
}

TEST(SearchCellsKernel, GivesWhatTheCpuBackendGives) {
  const auto backend = make_cpu_backend(1);
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const char* const block : {"row", "16", "32", "64", "128"})
      for (const DType dtype : kDTypes)
        for (const Family family : sample::kFamilies) {
          if (sample::bits(28, ++number) % (sample::kSlow ? 40 : 2) != 0) continue;
          const Shape& shape = cell_shape(block, number);
          const Tensor tensor{with_block(text, block), shape,
                              sample::make(dtype, family, element_count(shape), number)};
          SCOPED_TRACE(tensor.text() + " " + to_string(family));
          const EmulatorSeed seed(number % 4);
          const Effort effort = number % 3 == 0 ? Effort::fast : Effort::exact;
          ASSERT_TRUE(on_device(tensor, effort, {0, number % 5 == 0}) == quantize(*backend, tensor, effort));
        }
}

TEST(SearchCellsKernel, EveryNumberOfBitsAndBlockIsPacked) {
  const auto backend = make_cpu_backend(1);
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (const char* const block : {"row", "16", "32", "64", "128"})
      for (const bool small : {false, true}) {
        const Shape shape = std::string(block) == "row" ? Shape{41, small ? 16u + 8u * unsigned(bits) : 128u}
                                                        : Shape{5, small ? 640u : 333u};
        const Tensor tensor{with_block("E1M" + std::to_string(bits - 2) + "/*/e8m0", block), shape,
                            sample::make(DType::BF16, Family::special, element_count(shape), 5)};
        ASSERT_TRUE(on_device(tensor, Effort::exact) == quantize(*backend, tensor, Effort::exact))
            << tensor.text();
      }
}

TEST(SearchCellsKernel, RoundsAsTheCpuAlmostInTheMiddle) {
  const auto backend = make_cpu_backend(1);
  for (const ScaleKind kind : {ScaleKind::e8m0, ScaleKind::ue4m3})
    for (const Format format : reference::all_formats()) {
      const std::size_t size = format.bits() % 2 == 0 ? 16 : 32;
      const std::uint64_t blocks = sample::kSlow ? 40 : 400;
      const Encoding encoding{format, {}, {BlockKind::small, static_cast<int>(size)}, kind};
      const Tensor tensor{encoding, {blocks * size}, weights_near_middles(format, kind, size, blocks)};
      ASSERT_TRUE(on_device(tensor, Effort::exact) == quantize(*backend, tensor, Effort::exact))
          << tensor.text();
    }
}

TEST(SearchCellsKernel, SeveralStripsAndPieces) {
  const auto backend = make_cpu_backend(1);
  const std::pair<const char*, Shape> tensors[] = {
      {"E2M1/16/e8m0", {37, 5001}},         {"E2M1/32/e8m0", {3, 65'536}},
      {"E1M2+E2M1/16/ue4m3", {2, 70'001}},  {"E1M4/64/e8m0", {4, 50'001}},
      {"E3M3/128/e8m0", {1, 200'000}},      {"E2M2/row/e8m0", {1301, 127}},
      {"E1M1+E2M0/row/ue4m3", {1500, 100}}, {"E1M3+E2M2/row/ue4m3", {1030, 30}}};
  std::uint64_t number = 0;
  for (const auto& [text, shape] : tensors) {
    const Tensor tensor{parse_encoding(text), shape,
                        sample::make(DType::F32, Family::heavy_tails, element_count(shape), 3)};
    const Quantized expected = quantize(*backend, tensor, Effort::exact);
    const EmulatorSeed seed(++number);
    ASSERT_TRUE(on_device(tensor, Effort::exact, {number % 3, false}) == expected) << tensor.text();
  }
}

TEST(SearchCellsKernel, WritesWhatIsWantedAlone) {
  const auto backend = make_cpu_backend(1);
  const Tensor tensor{
      parse_encoding("E1M2+E2M1/32/ue4m3"), {9, 100}, sample::make(DType::F16, Family::gaussian, 900, 3)};
  const Quantized all = quantize(*backend, tensor, Effort::exact), untouched = rubbish(tensor.grid());
  EXPECT_TRUE(on_device(tensor, Effort::exact, {}, {true, true, true}) == all);
  EXPECT_TRUE(on_device(tensor, Effort::exact, {}, {false, true, true}) ==
              (Quantized{all.scales, all.codes, untouched.sums}));
  EXPECT_TRUE(on_device(tensor, Effort::exact, {}, {true, false, true}) ==
              (Quantized{all.scales, untouched.codes, all.sums}));
}

TEST(SearchCellsKernel, TakesAnEmptyTensor) {
  const Tensor tensor{parse_encoding("E2M1/32/e8m0"), {0, 64}, {DType::BF16, {}, {}}};
  EXPECT_TRUE(on_device(tensor, Effort::exact) == rubbish(tensor.grid()));
}

}  // namespace
}  // namespace afp
