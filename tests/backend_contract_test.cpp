// What every backend must do, against the oracle, and the same bits from all of them.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "afp/error.hpp"
#include "afp/packing.hpp"
#include "backends.hpp"
#include "encoding_cases.hpp"
#include "expect_error.hpp"
#include "quantized.hpp"
#include "reference.hpp"

namespace afp {
namespace {

using reference::Grid;
using reference::Real;
using reference::ScaleSearch;
using sample::Family;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
constexpr Real kTolerance = 1e-5L;  // of errors that a backend sums up in float32

const char* const kBlocks[] = {"row", "16", "32", "64", "128"};
const Shape kShapes[] = {{1}, {3, 37}, {5, 16}, {2, 130}, {7, 3, 11}, {1, 301}};
const Shape kLargeShapes[] = {{3, 640}, {17, 129}, {1, 2304}, {33, 128}};  // several tiles of cells

const Shape& shape_of(std::uint64_t number) {
  const std::uint64_t bits = sample::bits(9, number);
  return bits % 10 == 0 ? kLargeShapes[bits / 10 % std::size(kLargeShapes)]
                        : kShapes[bits / 10 % std::size(kShapes)];
}

// Where the tensor's rows of codes and the codes of block b within begin, in bits: filled-up blocks, or rows
// filled up to 32 codes.
std::uint64_t code_bit(const Tensor& tensor, std::size_t weight) {
  const std::size_t rows = tensor.shape.size() < 2 ? 1 : tensor.shape[0],
                    columns = tensor.weights.values.size() / rows;
  const Block block = tensor.encoding.block;
  const std::size_t size = block.kind == BlockKind::small ? static_cast<std::size_t>(block.size) : 32;
  const std::size_t row_codes = (columns + size - 1) / size * size;
  return (weight / columns * row_codes + weight % columns) *
         static_cast<std::uint64_t>(tensor.encoding.bits());
}

// All codes by the oracle, under the given scales; bits that belong to no weight are zero.
std::vector<std::uint8_t> expected_codes(const Tensor& tensor, std::span<const std::uint8_t> scales) {
  std::vector<std::uint8_t> bytes(tensor.grid().code_bytes());
  const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
  std::size_t weight = 0, b = 0;
  const Grid first(tensor.encoding.format);
  for (const std::span<const float> block : blocks_of(tensor)) {
    const reference::Scale* scale = search.find(scales[b++]);  // none: byte 0 of a block of zeros under ue4m3
    const float r = scale == nullptr ? 0.0f : reference::reciprocal(scale->value);
    for (const float w : block) {
      const std::uint32_t code = (scale == nullptr ? first : *scale->grid).encode(reference::scaled(w, r));
      const std::uint64_t at = code_bit(tensor, weight++);
      for (int i = 0; i < tensor.encoding.bits(); ++i)
        if (code >> i & 1) {
          const std::uint64_t bit = at + static_cast<std::uint64_t>(i);
          bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | 1u << bit % 8);
        }
    }
  }
  return bytes;
}

// A code's value times the block's scale, exact, times the tensor's, rounded to float32 and to the type.
std::vector<std::byte> expected_weights(const Tensor& tensor, const Quantized& quantized, DType dtype,
                                        float tensor_scale) {
  std::vector<float> values;
  std::size_t b = 0;
  for (const std::span<const float> block : blocks_of(tensor)) {
    const std::uint8_t byte = quantized.scales[b++];
    const bool e8m0 = tensor.encoding.scale == ScaleKind::e8m0;
    const Real scale = reference::scale_value(tensor.encoding.scale, e8m0 ? byte : byte & 0x7F, tensor_scale);
    const Format format =
        tensor.encoding.alternative && byte >= 128 ? *tensor.encoding.alternative : tensor.encoding.format;
    for (std::size_t i = 0; i < block.size(); ++i) {
      const std::uint64_t bit = code_bit(tensor, values.size());
      const std::uint32_t window =
          quantized.codes[bit / 8] |
          (bit / 8 + 1 < quantized.codes.size() ? quantized.codes[bit / 8 + 1] * 256u : 0u);
      const std::uint32_t code = window >> bit % 8 & ((1u << format.bits()) - 1);
      const Real exact = reference::value(format, code) * scale;
      values.push_back(std::clamp(static_cast<float>(exact), -0x1.fffffep127f, 0x1.fffffep127f));
    }
  }
  return sample::weights_of(dtype, values).bytes;
}

// Compares every `stride`-th block's scale with all others, and the sums over all blocks.
void expect_best_scales(const Tensor& tensor, const Quantized& quantized, std::size_t stride = 1) {
  const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
  const std::vector<std::span<const float>> blocks = blocks_of(tensor);
  ASSERT_EQ(quantized.scales.size(), blocks.size());
  Real error_sum = 0, signal_sum = 0;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const std::uint8_t byte = quantized.scales[b];
    if (reference::absmax(blocks[b]) == 0.0f) {
      ASSERT_EQ(int{byte}, 0) << "block " << b << " of zeros";
      continue;
    }
    const reference::Scale* scale = search.find(byte);
    ASSERT_TRUE(scale) << "block " << b << " has the byte " << int{byte};
    const Real error = reference::squared_error(blocks[b], *scale->grid, scale->value);
    error_sum += error;
    signal_sum += reference::sum_of_squares(blocks[b]);
    if (b % stride != 0) continue;
    const ScaleSearch::Choice best = search.best(blocks[b]);
    const Real s0 = search.s0(*scale->grid, reference::absmax(blocks[b]));
    ASSERT_TRUE(search.in_scan(*scale, s0)) << "block " << b;
    ASSERT_LE(error, best.error * (1 + kTolerance))
        << "block " << b << " byte " << int{byte} << ", best " << int{best.byte};
    if (best.runner_up > best.error * (1 + kTolerance)) {
      ASSERT_EQ(int{byte}, int{best.byte}) << "block " << b;
    }
    ASSERT_GE(best.beyond, best.error * (1 - kTolerance)) << "block " << b;
  }
  double error = 0.0, signal = 0.0;
  for (const StripSums& strip : quantized.sums) {
    error += strip.error;
    signal += strip.signal;
  }
  EXPECT_LE(std::fabs(error - error_sum), 1e-6L * error_sum) << error << " " << error_sum;
  EXPECT_LE(std::fabs(signal - signal_sum), 1e-6L * signal_sum) << signal << " " << signal_sum;
}

void expect_no_worse_than_absmax(const Tensor& tensor, const Quantized& quantized) {
  const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
  const std::vector<std::span<const float>> blocks = blocks_of(tensor);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (reference::absmax(blocks[b]) == 0.0f) continue;
    const reference::Scale* scale = search.find(quantized.scales[b]);
    ASSERT_TRUE(scale) << "block " << b << " has the byte " << int{quantized.scales[b]};
    const Real error = reference::squared_error(blocks[b], *scale->grid, scale->value);
    ASSERT_LE(error, search.best(blocks[b]).at_s0 * (1 + kTolerance)) << "block " << b;
  }
}

// Calls body(tensor, number) for every Encoding of row and small blocks, type and family, on shapes in turn.
template <class Body>
void for_each_tensor(const Body& body) {
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const char* const block : kBlocks)
      for (const DType dtype : kDTypes)
        for (const Family family : sample::kFamilies) {
          // Half of all, scattered: every pair of the four lists meets many times.
          if (sample::bits(8, ++number) % (sample::kSlow ? 20 : 2) != 0) continue;
          const Shape& shape = shape_of(number);
          const Tensor tensor{with_block(text, block), shape,
                              sample::make(dtype, family, element_count(shape), number)};
          SCOPED_TRACE(tensor.text() + " " + to_string(family));
          body(tensor, number);
          if (testing::Test::HasFailure()) return;
        }
}

TEST(BackendContract, ScalesAreTheBestAndAllTargetsAgree) {
  const std::vector<BackendCase> cases = backend_cases(1);
  for_each_tensor([&](const Tensor& tensor, std::uint64_t) {
    Quantized first;
    for (const BackendCase& which : cases) {
      const RunningBackend backend(which);
      const Quantized quantized = quantize(*backend, tensor, Effort::exact, {0, true});
      if (&which == &cases.front()) {
        first = quantized;
        expect_best_scales(tensor, first);
        EXPECT_TRUE(first.codes == expected_codes(tensor, first.scales));
      }
      EXPECT_TRUE(quantized == first) << which.name;
    }
  });
}

TEST(BackendContract, ChoosingThenEncodingIsQuantizingWhateverTheOtherCandidates) {
  const std::vector<BackendCase> cases = backend_cases(1);
  for_each_tensor([&](const Tensor& tensor, std::uint64_t number) {
    const RunningBackend backend(cases[number % cases.size()]);
    const std::string block = to_string(tensor.encoding.block);
    std::vector<TensorCodec> others;
    for (const std::string& text :
         {"E2M1/" + block + "/e8m0", "E1M2+E2M1/" + block + "/ue4m3", "E4M3/" + block + "/ue4m3"})
      others.push_back(Tensor{parse_encoding(text), tensor.shape, tensor.weights}.codec());
    for (const Effort effort : {Effort::exact, Effort::fast})
      EXPECT_TRUE(choose_and_encode(*backend, tensor, others, effort) == quantize(*backend, tensor, effort));
  });
}

TEST(BackendContract, FastIsNeverWorseThanTheAbsmaxScale) {
  const std::vector<BackendCase> cases = backend_cases(1);
  for_each_tensor([&](const Tensor& tensor, std::uint64_t number) {
    if (number % 4 != 0) return;
    const Quantized first = quantize(*RunningBackend(cases.front()), tensor, Effort::fast);
    expect_no_worse_than_absmax(tensor, first);
    EXPECT_TRUE(first.codes == expected_codes(tensor, first.scales));
    for (const BackendCase& which : cases)
      EXPECT_TRUE(quantize(*RunningBackend(which), tensor, Effort::fast) == first) << which.name;
    if (tensor.encoding.scale == ScaleKind::e8m0) {
      EXPECT_TRUE(quantize(*RunningBackend(cases.front()), tensor, Effort::exact) == first);
    }
  });
}

TEST(BackendContract, DequantizingIsTheDefinition) {
  const std::vector<BackendCase> cases = backend_cases(1);
  for_each_tensor([&](const Tensor& tensor, std::uint64_t number) {
    // Any codes and any valid scales, not only those that quantizing writes.
    Quantized any = rubbish(tensor.grid());
    for (std::size_t i = 0; i < any.codes.size(); ++i)
      any.codes[i] = static_cast<std::uint8_t>(sample::bits(number, i));
    const std::vector<reference::Scale> scales = ScaleSearch(tensor.encoding, 1.0f).scales();
    for (std::size_t i = 0; i < any.scales.size(); ++i)
      any.scales[i] = scales[sample::bits(number + 1, i) % scales.size()].byte;
    for (const DType dtype : kDTypes) {
      const std::vector<std::byte> expected =
          expected_weights(tensor, any, dtype, tensor.codec().tensor_scale);
      for (const BackendCase& which : cases)
        EXPECT_TRUE(dequantize(*RunningBackend(which), tensor, any, dtype, {0, number % 2 == 0}) == expected)
            << which.name << " " << dtype_name(dtype);
    }
  });
}

TEST(BackendContract, TensorsOfSeveralStripsAreTheSameInAnyPiecesAndThreads) {
  const std::vector<BackendCase> cases = backend_cases(3);
  const std::pair<const char*, Shape> tensors[] = {
      {"E2M1/32/e8m0", {37, 5001}},    {"E1M2+E2M1/16/ue4m3", {37, 5001}},
      {"E1M4/64/ue4m3", {4, 70'001}},  {"E3M3/128/e8m0", {1, 200'000}},
      {"E2M2/row/e8m0", {701, 301}},   {"E1M2+E2M1/row/ue4m3", {3, 70'000}},
      {"E4M3/row/e8m0", {2, 131'073}}, {"E1M1+E2M0/row/ue4m3", {1500, 100}}};
  std::uint64_t number = 0;
  for (const auto& [text, shape] : tensors) {
    const DType dtype = kDTypes[number++ % 3];
    const Tensor tensor{parse_encoding(text), shape,
                        sample::make(dtype, Family::heavy_tails, element_count(shape), number)};
    SCOPED_TRACE(tensor.text());
    const Quantized first = quantize(*RunningBackend(cases.front()), tensor, Effort::exact);
    const std::size_t blocks = blocks_of(tensor).size();
    expect_best_scales(tensor, first, blocks < 10 ? blocks : 101);
    EXPECT_TRUE(first.codes == expected_codes(tensor, first.scales));
    const std::vector<std::byte> weights = dequantize(*RunningBackend(cases.front()), tensor, first, dtype);
    EXPECT_TRUE(weights == expected_weights(tensor, first, dtype, tensor.codec().tensor_scale));
    ASSERT_GT(first.sums.size(), 1u);
    for (const BackendCase& which : cases) {
      const RunningBackend backend(which);
      for (const Cutting cutting : {Cutting{}, Cutting{1, false}, Cutting{2, true}}) {
        if (sample::kSlow && cutting.strips_per_piece == 1) continue;
        EXPECT_TRUE(quantize(*backend, tensor, Effort::exact, cutting) == first) << which.name;
        EXPECT_TRUE(dequantize(*backend, tensor, first, dtype, cutting) == weights) << which.name;
      }
    }
  }
}

TEST(BackendContract, TensorBlocksAreScoredAndEncoded) {
  const std::vector<BackendCase> cases = backend_cases(3);
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const DType dtype : kDTypes) {
      const Family family = sample::kFamilies[++number % std::size(sample::kFamilies)];
      const Shape shape = number % 20 == 0 ? Shape{5, 30'001} : shape_of(number);
      if (sample::kSlow && number % 5 != 0) continue;
      const Tensor tensor{with_block(text, "tensor"), shape,
                          sample::make(dtype, family, element_count(shape), number)};
      SCOPED_TRACE(tensor.text() + " " + to_string(family));
      const BlockGrid grid = tensor.grid();
      const TensorCodec codec = tensor.codec();
      const float absmax = reference::absmax(tensor.weights.values);
      if (absmax == 0.0f) continue;
      const ScaleSearch search(tensor.encoding, codec.tensor_scale);
      const LongBlock block(codec, absmax);

      std::vector<std::uint8_t> bytes;  // around s0 of each Format
      for (const reference::Scale& scale : search.scales()) {
        const Real s0 = search.s0(*scale.grid, absmax);
        if (scale.value < 2 * s0 && scale.value > s0 / 5) bytes.push_back(scale.byte);
      }
      const std::size_t strips = strip_count(grid, {0, grid.cells()});
      std::vector<double> first;
      for (const BackendCase& which : cases) {
        const RunningBackend backend(which);
        std::vector<ScaleScore> scores(strips * bytes.size(), {1e300, 1e300});
        for_each_piece(tensor, grid, {which.threads == 1 ? 0u : 1u, which.threads == 3},
                       [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t count) {
                         backend->score_scales(
                             piece, codec, block, bytes,
                             part(scores, strip * bytes.size(), (strip + count) * bytes.size()));
                       });
        std::vector<double> flat(2 * scores.size());
        std::memcpy(flat.data(), scores.data(), scores.size() * sizeof(ScaleScore));
        if (first.empty()) first = flat;
        EXPECT_TRUE(flat == first) << which.name;

        std::vector<std::uint8_t> codes(grid.code_bytes(), 0xAA);
        for_each_piece(tensor, grid, {1, true}, [&](const WeightPiece& piece, std::uint64_t, std::uint64_t) {
          backend->encode(piece, codec, std::span(bytes).subspan(0, 1), codes_of(piece, codes));
        });
        if (which.threads > 1 && number % 5 != 0) continue;
        EXPECT_TRUE(codes == expected_codes(tensor, std::span(bytes).subspan(0, 1))) << which.name;
      }
      for (std::size_t b = 0; b < bytes.size(); ++b) {
        double error = 0.0, clipped = 0.0;
        for (std::size_t s = 0; s < strips; ++s) {
          error += first[2 * (s * bytes.size() + b)];
          clipped += first[2 * (s * bytes.size() + b) + 1];
        }
        const reference::Scale& scale = *search.find(bytes[b]);
        Real expected_clipped = 0;
        for (const float w : tensor.weights.values) {
          const Real excess = std::fabs(static_cast<Real>(w)) - scale.value * scale.grid->largest();
          if (excess > 0) expected_clipped += excess * excess;
        }
        const Real expected = reference::squared_error(tensor.weights.values, *scale.grid, scale.value);
        ASSERT_LE(std::fabs(std::ldexp(Real{error}, 2 * block.exponent) - expected), 1e-6L * expected)
            << int{bytes[b]};
        ASSERT_LE(std::fabs(std::ldexp(Real{clipped}, 2 * block.exponent) - expected_clipped),
                  1e-6L * expected)
            << int{bytes[b]};
      }
      if (HasFailure()) return;
    }
}

TEST(BackendContract, ExtentAndStatisticsAreThoseOfTheWeights) {
  for (const DType dtype : kDTypes) {
    std::vector<float> values(150'001);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = i % 9 == 0 ? -0.0f : static_cast<float>(sample::gaussian(1, i));
    for (const bool with_nonfinite : {false, true}) {
      sample::Weights weights = sample::weights_of(dtype, values);
      std::uint64_t nonfinite = 0;
      if (with_nonfinite) {
        const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
        const std::uint32_t infinity = dtype == DType::F32    ? 0xFF800000u
                                       : dtype == DType::BF16 ? 0x7F80u
                                                              : 0xFC00u;
        for (std::size_t i = 3; i < values.size(); i += 997, ++nonfinite) {
          const std::uint32_t bits = infinity + (i % 2);  // -infinity or a NaN
          std::memcpy(weights.bytes.data() + i * width, &bits, width);
          weights.values[i] = std::numeric_limits<float>::infinity();
        }
      }
      float absmax = 0.0f, largest = -3.0f, smallest = 3.0f;
      std::uint64_t zeros = 0;
      for (const float w : weights.values) {
        zeros += w == 0.0f;
        if (!std::isfinite(w)) continue;
        absmax = std::max(absmax, std::fabs(w));
        largest = std::max(largest, w);
        smallest = std::min(smallest, std::fabs(w));
      }
      Statistics expected(dtype);
      expected.add(weights.bytes.data(), weights.values.size());
      const Tensor tensor{parse_encoding("E2M1/32"), {weights.values.size()}, weights};
      const BlockGrid grid = tensor.grid();
      for (const BackendCase& which : backend_cases(3)) {
        const RunningBackend backend(which);
        Statistics statistics(dtype);
        Extent total;
        for_each_piece(tensor, grid, {which.threads == 1 ? 0u : 1u, true},
                       [&](const WeightPiece& piece, std::uint64_t, std::uint64_t) {
                         backend->accumulate(piece, statistics);
                         total.merge(backend->extent(piece));
                       });
        EXPECT_TRUE(statistics == expected) << which.name;
        EXPECT_EQ(total.absmax, absmax) << which.name;
        EXPECT_EQ(total.zeros, zeros) << which.name;
        EXPECT_EQ(total.nonfinite, nonfinite) << which.name;
        EXPECT_EQ(total.largest, largest) << which.name;
        EXPECT_EQ(total.smallest_magnitude, smallest) << which.name;
      }
    }
  }
}

TEST(BackendContract, EmptyTensorsAreNoWork) {
  for (const BackendCase& which : backend_cases(2)) {
    const RunningBackend backend(which);
    for (const Shape& shape : {Shape{0}, Shape{0, 7}, Shape{7, 0}})
      for (const char* const block : {"tensor", "row", "16", "128"}) {
        const Tensor tensor{with_block("E2M1/*/e8m0", block), shape, sample::weights_of(DType::F32, {})};
        const BlockGrid grid = tensor.grid();
        const WeightPiece piece{grid, {0, 0}, DType::F32, nullptr};
        const TensorCodec codec = tensor.codec();
        Statistics statistics(DType::F32);
        backend->accumulate(piece, statistics);
        EXPECT_EQ(statistics.count(), 0u);
        EXPECT_EQ(backend->extent(piece).absmax, 0.0f);
        EXPECT_EQ(backend->count_within(piece, 1.0f), 0u);
        LinearHistogram histogram(1.0f, 3);
        backend->accumulate(piece, histogram);
        EXPECT_TRUE(histogram == LinearHistogram(1.0f, 3));
        backend->encode(piece, codec, {}, {});
        backend->dequantize(grid, {0, 0}, codec, {}, {}, DType::F32, {});
        if (tensor.encoding.block.kind != BlockKind::tensor)
          backend->quantize(piece, codec, Effort::exact, {}, {}, {});
      }
  }
}

TEST(BackendContract, DequantizesUnderAnyTensorScale) {
  // Files of others may hold any positive one.
  for (const float tensor_scale : {0.37f, 3.1e-5f, 0x1.fffffep+119f, 1e-44f}) {
    Tensor tensor{
        parse_encoding("E1M2+E2M1/16"), {3, 100}, sample::make(DType::F32, Family::gaussian, 300, 1)};
    const BlockGrid grid = tensor.grid();
    Quantized any = rubbish(grid);
    for (std::size_t i = 0; i < any.codes.size(); ++i)
      any.codes[i] = static_cast<std::uint8_t>(sample::bits(1, i));
    for (std::size_t i = 0; i < any.scales.size(); ++i)
      any.scales[i] = static_cast<std::uint8_t>(sample::bits(2, i) % 2 * 128 + sample::bits(3, i) % 127);
    for (const DType dtype : kDTypes) {
      const std::vector<std::byte> expected = expected_weights(tensor, any, dtype, tensor_scale);
      for (const BackendCase& which : backend_cases(1)) {
        std::vector<std::byte> weights(expected.size());
        RunningBackend(which)->dequantize(grid, {0, grid.cells()}, {tensor.encoding, tensor_scale},
                                          any.scales, any.codes, dtype, weights);
        EXPECT_TRUE(weights == expected) << which.name << " " << dtype_name(dtype) << " " << tensor_scale;
      }
    }
  }
}

TEST(BackendContract, SaysWhatItIsAndWhatItRefuses) {
  for (const BackendCase& which : backend_cases(2)) {
    const RunningBackend backend(which);
    EXPECT_EQ(backend->name(), which.is_cuda ? "cuda" : "cpu");
    if (which.is_cuda)
      EXPECT_EQ(backend->description(), "cuda, " + backend->device_use().device);
    else
      EXPECT_EQ(backend->description(), "cpu, " + std::to_string(which.threads) +
                                            (which.threads == 1 ? " thread, " : " threads, ") +
                                            hwy::TargetName(which.simd_target));
    const BlockGrid grid({BlockKind::tensor, 0}, 4, {0});
    const TensorCodec codec{parse_encoding("E2M1/tensor"), 1.0f};
    expect_error<UsageError>(
        [&] {
          (void)backend->extent({grid, {0, 0}, DType::F64, nullptr});
        },
        "a backend takes BF16, F16 or F32 weights, found F64");
    expect_error<UsageError>(
        [&] {
          backend->quantize({grid, {0, 0}, DType::F32, nullptr}, codec, Effort::exact, {}, {}, {});
        },
        "the scale of a tensor block is chosen from its Statistics, not block by block");
  }
}

}  // namespace
}  // namespace afp
