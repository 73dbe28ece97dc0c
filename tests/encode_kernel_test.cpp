// The kernel that encodes under given scales, held to the CPU backend byte by byte.
#include <gtest/gtest.h>

#include "code_kernel_cases.hpp"
#include "device_array.hpp"
#include "kernels/encode.hpp"

namespace afp {
namespace {

using kernels::Encode;

constexpr std::size_t kGuard = 48;

const Backend& cpu() {
  static const std::unique_ptr<Backend> backend = make_cpu_backend(1);
  return *backend;
}

struct Variant {
  std::uint64_t strips_per_piece = 0;
  bool unaligned = false;        // weights aligned to their type alone
  bool scale_on_device = false;  // the tensor's
  std::uint32_t many_blocks = 4096;
  std::size_t code_shift = 0;  // bytes from a 16-byte boundary
};

void expect_cpu_codes(const Tensor& tensor, std::vector<std::uint8_t> scales, const Variant& variant) {
  const BlockGrid grid = tensor.grid();
  const TensorCodec codec = tensor.codec();
  for_each_piece(
      tensor, grid, {variant.strips_per_piece, false}, [&](const WeightPiece& piece, std::uint64_t, auto) {
        const std::span<const std::uint8_t> piece_scales = scales_of(piece, scales);
        const std::size_t code_bytes =
            piece.cells.count == 0
                ? 0
                : grid.code_begin(piece.cells.first + piece.cells.count) - grid.code_begin(piece.cells.first);
        std::vector<std::uint8_t> expected(code_bytes, 0xAA);
        cpu().encode(piece, codec, piece_scales, expected);

        const std::size_t width = static_cast<std::size_t>(dtype_bits(piece.dtype)) / 8;
        const std::size_t weights =
            grid.weight_begin(piece.cells.first + piece.cells.count) - grid.weight_begin(piece.cells.first);
        std::vector<std::byte> bytes(variant.unaligned ? width : 0, std::byte{0xFF});
        bytes.insert(bytes.end(), piece.weights, piece.weights + weights * width);
        const DeviceArray<std::byte> device_weights(bytes);
        const DeviceArray<std::uint8_t> device_scales{piece_scales};
        const std::size_t begin = kGuard + variant.code_shift;
        DeviceArray<std::uint8_t> codes(std::vector<std::uint8_t>(begin + code_bytes + kGuard, 0xAA));
        const DeviceArray<float> tensor_scale(std::vector<float>{codec.tensor_scale});
        Encode task{{grid, piece.cells, piece.dtype, device_weights.data() + bytes.size() - weights * width},
                    block_codec(codec),
                    nullptr,
                    device_scales.data(),
                    codes.data() + begin,
                    variant.many_blocks};
        if (variant.scale_on_device) {
          task.tensor_scale = tensor_scale.data();
          task.codec.tensor_scale = 3.0f;
        }
        ASSERT_EQ(kernels::encode(task, nullptr), cudaSuccess);
        const std::vector<std::uint8_t> found = codes.read();
        for (std::size_t i = 0; i < begin; ++i) ASSERT_EQ(found[i], 0xAA) << "before the codes";
        for (std::size_t i = 0; i < kGuard; ++i)
          ASSERT_EQ(found[begin + code_bytes + i], 0xAA) << "behind the codes";
        for (std::size_t i = 0; i < code_bytes; ++i)
          ASSERT_EQ(int{found[begin + i]}, int{expected[i]}) << "byte " << i << " of " << code_bytes;
      });
}

TEST(EncodeKernel, IsTheCpuBackend) {
  kernel_cases::for_each_tensor(
      2, [](const Tensor& tensor, const std::vector<std::uint8_t>& scales, std::uint64_t number) {
        const std::uint64_t random = sample::bits(22, number);
        expect_cpu_codes(
            tensor, scales,
            {0, random % 4 == 0, random / 4 % 2 == 0, 4096, random / 8 % 4 == 0 ? random / 32 % 16 : 0});
      });
}

TEST(EncodeKernel, PiecesOfSeveralStrips) {
  const struct {
    const char* encoding;
    Shape shape;
  } cases[] = {
      {"E2M1/tensor", {3, 70001}},   {"E2M3/tensor", {4, 40000}},  {"E4M2/row", {5, 30016}},
      {"E3M3/row", {70, 999}},       {"E1M2+E2M1/16", {2, 66000}}, {"E2M0/32/e8m0", {3, 50001}},
      {"E5M2/128/e8m0", {300, 512}}, {"E1M3/64", {1, 140000}},     {"E3M1/tensor", {1, 131072 + 77}}};
  std::uint64_t number = 100;
  for (const auto& [text, shape] : cases)
    for (const DType dtype : {DType::BF16, DType::F32})
      for (const std::uint64_t strips : {0u, 1u, 2u}) {
        ++number;
        if (sample::kSlow && number % 4 != 0) continue;
        const Tensor tensor{parse_encoding(text), shape,
                            sample::make(dtype, sample::Family::heavy_tails, element_count(shape), number)};
        SCOPED_TRACE(tensor.text());
        // Pieces of one strip have 8 tiles of 8192 weights.
        const std::uint32_t many_blocks = number % 3 == 0 ? 4096 : static_cast<std::uint32_t>(number % 3 + 2);
        expect_cpu_codes(tensor, kernel_cases::scales_for(tensor, number),
                         {strips, false, false, many_blocks});
        if (HasFatalFailure()) return;
      }
}

// Weights about every value and every boundary between two, under every Format: y itself, not far off it.
TEST(EncodeKernel, ValuesTiesAndNeighbours) {
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (const Format format : formats_of(bits)) {
      std::vector<float> weights;
      const auto add_around = [&](float value) {
        for (const float sign : {1.0f, -1.0f})
          for (const int step : {-1, 0, 1})
            weights.push_back(sign * bits_float(static_cast<std::uint32_t>(
                                         std::max(0, static_cast<int>(float_bits(value)) + step))));
      };
      for (std::uint32_t code = 0; code <= format.max_magnitude(); ++code) {
        const float value = decode(format, code);
        add_around(value);
        const float next =
            code < format.max_magnitude() ? decode(format, code + 1) : 2 * value - decode(format, code - 1);
        add_around((value + next) / 2);
      }
      weights.insert(weights.end(), {0x1p-149f, -0x1p-149f, 0x1.fffffep127f, -0x1.fffffep127f, 0x1p-126f});
      const Tensor tensor{{format, {}, {BlockKind::tensor, 0}, ScaleKind::e8m0},
                          {weights.size()},
                          sample::weights_of(DType::F32, weights)};
      SCOPED_TRACE(tensor.text());
      for (const int byte : {127, 0, 1, 254, 128})
        expect_cpu_codes(tensor, {static_cast<std::uint8_t>(byte)}, {});
      // The same as one of a pair.
      const Format other = formats_of(bits)[format.exponent_bits == 1 && bits > 2 ? 1 : 0];
      if (other == format) continue;
      const Tensor pair{{other, format, {BlockKind::tensor, 0}, ScaleKind::ue4m3},
                        {weights.size()},
                        sample::weights_of(DType::F32, weights)};
      for (const int byte : {0xB8, 0x80, 0x81, 0xB7, 0x38})
        expect_cpu_codes(pair, {static_cast<std::uint8_t>(byte)}, {});
      if (HasFatalFailure()) return;
    }
}

TEST(EncodeKernel, WhatCannotBeEncodedIsRefused) {
  const BlockGrid grid({BlockKind::tensor, 0}, 4, {16});
  Encode task{{grid, {0, 1}, DType::I16, nullptr},
              block_codec({parse_encoding("E2M1/tensor"), 1.0f}),
              nullptr,
              nullptr,
              nullptr};
  EXPECT_EQ(kernels::encode(task, nullptr), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace afp
