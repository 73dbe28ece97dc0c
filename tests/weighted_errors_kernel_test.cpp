// The kernel of the weighted squared error, held to the CPU backend bit by bit.
#include <gtest/gtest.h>

#include <bit>

#include "code_kernel_cases.hpp"
#include "device_array.hpp"
#include "kernels/weighted_errors.hpp"

namespace afp {
namespace {

using kernels::WeightedErrors;

const Backend& cpu() {
  static const std::unique_ptr<Backend> backend = make_cpu_backend(1);
  return *backend;
}

std::vector<float> importance_of(std::uint64_t columns, std::uint64_t seed) {
  std::vector<float> importance;
  for (std::uint64_t i = 0; i < columns; ++i)
    importance.push_back(i % 7 == 3 ? 0.0f : static_cast<float>(std::exp(4 * sample::gaussian(seed + 3, i))));
  return importance;
}

void expect_cpu_errors(const Tensor& tensor, std::vector<std::uint8_t> scales, std::uint64_t seed,
                       std::uint64_t strips_per_piece, bool unaligned = false) {
  const BlockGrid grid = tensor.grid();
  const TensorCodec codec = tensor.codec();
  const std::vector<float> importance = importance_of(grid.columns, seed);
  const DeviceArray<float> device_importance(importance);
  for_each_piece(
      tensor, grid, {strips_per_piece, false},
      [&](const WeightPiece& piece, std::uint64_t, std::uint64_t strips) {
        std::vector<double> expected(strips, -1.0);
        cpu().weighted_errors(piece, codec, scales_of(piece, scales), importance, expected);

        const std::size_t width = static_cast<std::size_t>(dtype_bits(piece.dtype)) / 8;
        const std::size_t bytes = (grid.weight_begin(piece.cells.first + piece.cells.count) -
                                   grid.weight_begin(piece.cells.first)) *
                                  width;
        std::vector<std::byte> shifted(unaligned ? width : 0);
        const std::size_t begin = shifted.size();
        shifted.insert(shifted.end(), piece.weights, piece.weights + bytes);
        const DeviceArray<std::byte> weights(shifted);
        const DeviceArray<std::uint8_t> device_scales{
            std::span<const std::uint8_t>(scales_of(piece, scales))};
        DeviceArray<double> errors(std::vector<double>(strips + 1, -7.0));
        const WeightedErrors task{{grid, piece.cells, piece.dtype, weights.data() + begin},
                                  cells_per_strip(grid),
                                  block_codec(codec),
                                  device_scales.data(),
                                  device_importance.data(),
                                  errors.data()};
        ASSERT_EQ(kernels::weighted_errors(task, nullptr), cudaSuccess);
        expected.push_back(-7.0);
        const std::vector<double> found = errors.read();
        for (std::size_t i = 0; i < found.size(); ++i)
          ASSERT_EQ(std::bit_cast<std::uint64_t>(found[i]), std::bit_cast<std::uint64_t>(expected[i]))
              << "strip " << i << " of " << strips << ": " << found[i] << " for " << expected[i];
      });
}

TEST(WeightedErrorsKernel, IsTheCpuBackend) {
  kernel_cases::for_each_tensor(
      1, [](const Tensor& tensor, const std::vector<std::uint8_t>& scales, std::uint64_t number) {
        expect_cpu_errors(tensor, scales, number, 0, number % 3 == 0);
      });
}

TEST(WeightedErrorsKernel, SeveralStrips) {
  const struct {
    const char* encoding;
    Shape shape;
  } cases[] = {
      {"E2M1/tensor", {3, 50001}},         {"E4M2/row", {5, 30016}},      {"E3M3/row", {150, 999}},
      {"E1M2+E2M1/16", {2, 66000}},        {"E2M0/32/e8m0", {3, 50001}},  {"E5M2/128/e8m0", {300, 512}},
      {"E1M6+E7M0/64/ue4m3", {1, 140000}}, {"E4M0/row/e8m0", {2, 70000}}, {"E3M0+E1M2/128", {70, 1000}}};
  std::uint64_t number = 900;
  for (const auto& [text, shape] : cases)
    for (const DType dtype : {DType::BF16, DType::F32})
      for (const std::uint64_t strips : {0u, 1u}) {
        ++number;
        if (sample::kSlow && number % 4 != 0) continue;
        const Tensor tensor{
            parse_encoding(text), shape,
            sample::make(dtype, number % 2 == 0 ? sample::Family::heavy_tails : sample::Family::spread,
                         element_count(shape), number)};
        SCOPED_TRACE(tensor.text());
        expect_cpu_errors(tensor, kernel_cases::scales_for(tensor, number), number, strips);
        if (HasFatalFailure()) return;
      }
}

TEST(WeightedErrorsKernel, AnUnknownTypeIsRefused) {
  const BlockGrid grid({BlockKind::tensor, 0}, 4, {16});
  const WeightedErrors task{{grid, {0, 1}, DType::I16, nullptr},
                            cells_per_strip(grid),
                            block_codec({parse_encoding("E2M1/tensor"), 1.0f}),
                            nullptr,
                            nullptr,
                            nullptr};
  EXPECT_EQ(kernels::weighted_errors(task, nullptr), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace afp
