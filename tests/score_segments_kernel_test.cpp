// What scales cost tensor blocks, on the device: bit for bit what the CPU backend sums up.
#include <gtest/gtest.h>

#include "device_array.hpp"
#include "kernel_cases.hpp"
#include "kernels/score_segments.hpp"
#include "quantized.hpp"

namespace afp {
namespace {

using sample::Family;

// [strip][byte], as bits.
std::vector<std::uint64_t> bits_of(const std::vector<ScaleScore>& scores) {
  std::vector<std::uint64_t> bits(2 * scores.size());
  if (!scores.empty()) std::memcpy(bits.data(), scores.data(), scores.size() * sizeof(ScaleScore));
  return bits;
}

LongBlock block_of(const Tensor& tensor) {
  float absmax = 0.0f;
  for (const float w : tensor.weights.values) absmax = std::max(absmax, std::fabs(w));
  return {tensor.codec(), absmax};
}

// Scales around s0, of both Formats in turn.
std::vector<std::uint8_t> bytes_around_first(const Tensor& tensor, int count) {
  const LongBlock block = block_of(tensor);
  const TensorCodec codec = tensor.codec();
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < count; ++i) {
    const bool second = codec.encoding.alternative && i % 2 == 1;
    const Format format = second ? *codec.encoding.alternative : codec.encoding.format;
    if (codec.encoding.scale == ScaleKind::e8m0) {
      const int x = e8m0_first_exponent(format, block.absmax) + 2 - i;
      const int most = std::min(x, max_scale_exponent(format));
      bytes.push_back(static_cast<std::uint8_t>(std::max(most, min_scale_exponent(format)) + kE8m0Bias));
    } else {
      const int first = static_cast<int>(ue4m3_first(format, block.absmax / codec.tensor_scale)) + 8 - i;
      const int byte = std::clamp(first, 1, static_cast<int>(kUe4m3Max));
      bytes.push_back(static_cast<std::uint8_t>(byte | (second ? static_cast<int>(kUe4m3Alternative) : 0)));
    }
  }
  return bytes;
}

std::vector<ScaleScore> by_backend(const Tensor& tensor, const std::vector<std::uint8_t>& bytes) {
  const BlockGrid grid = tensor.grid();
  std::vector<ScaleScore> scores(strip_count(grid, {0, grid.cells()}) * bytes.size(), {7.0, 7.0});
  make_cpu_backend(1)->score_scales(
      {grid, {0, grid.cells()}, tensor.weights.dtype, tensor.weights.bytes.data()}, tensor.codec(),
      block_of(tensor), bytes, scores);
  return scores;
}

std::vector<ScaleScore> on_device(const Tensor& tensor, const std::vector<std::uint8_t>& bytes,
                                  Cutting cutting = {}) {
  const BlockGrid grid = tensor.grid();
  const TensorCodec codec = tensor.codec();
  const LongBlock block = block_of(tensor);
  std::vector<ScaleScore> scores;
  for_each_piece(tensor, grid, {cutting.strips_per_piece, false},
                 [&](const WeightPiece& piece, std::uint64_t, std::uint64_t strips) {
                   const DeviceWeights weights(piece, cutting.unaligned);
                   DeviceArray<ScaleScore> found(strips * bytes.size());
                   kernels::ScoreSegments task{weights.piece(),
                                               cells_per_strip(grid),
                                               exp2_int(-block.exponent),
                                               {},
                                               {},
                                               static_cast<int>(bytes.size()),
                                               found.data()};
                   for (std::size_t i = 0; i < bytes.size(); ++i) {
                     task.formats[i] = codec.encoding.format_of(bytes[i]);
                     task.scales[i] = block.normalized_scale(codec, bytes[i]);
                   }
                   require_success(kernels::score_segments(task, nullptr));
                   const std::vector<ScaleScore> part = found.read();
                   scores.insert(scores.end(), part.begin(), part.end());
                 });
  return scores;
}

TEST(ScoreSegmentsKernel, GivesWhatTheCpuBackendGives) {
  const Shape shapes[] = {{1}, {300, 3}, {7, 129}, {5, 257}, {3, 640}, {40, 64}, {2, 3, 5, 100}, {2, 4000}};
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const DType dtype : kDTypes)
      for (const Family family : sample::kFamilies) {
        if (sample::bits(31, ++number) % (sample::kSlow ? 60 : 8) != 0) continue;
        const Shape& shape = shapes[sample::bits(9, number) % std::size(shapes)];
        const Tensor tensor{with_block(text, "tensor"), shape,
                            sample::make(dtype, family, element_count(shape), number)};
        SCOPED_TRACE(tensor.text() + " " + to_string(family));
        const EmulatorSeed seed(number % 4);
        const auto bytes = bytes_around_first(tensor, 1 + static_cast<int>(number % 13));
        ASSERT_EQ(bits_of(on_device(tensor, bytes, {0, number % 5 == 0})),
                  bits_of(by_backend(tensor, bytes)));
      }
}

TEST(ScoreSegmentsKernel, SeveralStripsAndPiecesAndAllScalesAtOnce) {
  std::uint64_t number = 0;
  for (const Shape& shape : {Shape{1, 200'000}, Shape{1200, 130}, Shape{3, 65'537}, Shape{900, 3}})
    for (const char* const text : {"E2M1/tensor/e8m0", "E1M2+E2M1/tensor/ue4m3"}) {
      const Tensor tensor{parse_encoding(text), shape,
                          sample::make(DType::BF16, Family::heavy_tails, element_count(shape), ++number)};
      SCOPED_TRACE(tensor.text());
      const EmulatorSeed seed(number);
      const auto bytes = bytes_around_first(tensor, number % 3 == 0 ? 32 : 9);
      ASSERT_EQ(bits_of(on_device(tensor, bytes, {number % 3, false})), bits_of(by_backend(tensor, bytes)));
    }
}

TEST(ScoreSegmentsKernel, OfNothingIsNothing) {
  const Tensor empty{parse_encoding("E2M1/tensor/e8m0"), {0, 64}, {DType::BF16, {}, {}}};
  EXPECT_TRUE(on_device(empty, {127}).empty());
  const Tensor tensor{
      parse_encoding("E2M1/tensor/e8m0"), {2, 64}, sample::make(DType::BF16, Family::gaussian, 128, 1)};
  EXPECT_TRUE(on_device(tensor, {}).empty());
}

}  // namespace
}  // namespace afp
