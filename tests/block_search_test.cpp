// The definition of the search for a block's scale against the CPU backend: the same bytes and the same sums.
#include "afp/block_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "afp/backend.hpp"
#include "afp/cell_sum.hpp"
#include "near_middles.hpp"
#include "quantized.hpp"
#include "reference.hpp"

namespace afp {
namespace {

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

// One block measured as block_search.hpp says.
class MagnitudeSums {
 public:
  explicit MagnitudeSums(std::vector<float> magnitudes) : magnitudes_(std::move(magnitudes)) {}

  bool any(bool one) const { return one; }
  float error(const BlockTrial& trial) const {
    if (!trial.may_clip) {
      for (const float magnitude : magnitudes_) EXPECT_LE(magnitude, trial.scale * trial.rounding.max_value);
    }
    EXPECT_TRUE(!trial.is_power || (float_bits(trial.scale) & 0x7FFFFF) == 0);
    EXPECT_EQ(trial.reciprocal, 1.0f / trial.scale);
    return sum_of_squares([&](float magnitude) {
      return block_difference(trial.rounding, magnitude, trial.scale, trial.reciprocal);
    });
  }
  float clipped(float limit) const {
    return sum_of_squares([&](float magnitude) { return clipped_difference(magnitude, limit); });
  }
  float clipped_at_least(float limit) const {
    float largest[4] = {};
    for (std::size_t j = 0; j < magnitudes_.size(); ++j)
      largest[j % 4] = std::max(largest[j % 4], magnitudes_[j]);
    const float least = MagnitudeSums({largest, largest + 4}).clipped(limit);
    EXPECT_LE(least, clipped(limit));
    return least;
  }
  float signal() const {
    return sum_of_squares([](float magnitude) { return magnitude; });
  }

 private:
  template <class Term>
  float sum_of_squares(const Term& term) const {
    float sums[4] = {};
    for (std::size_t j = 0; j < magnitudes_.size(); ++j) {
      const float value = term(magnitudes_[j]);
      sums[j % 4] += value * value;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }

  std::vector<float> magnitudes_;
};

BlockFacts facts_of(std::span<const float> block, int lowest) {
  float absmax = 0.0f;
  for (const float w : block) absmax = std::max(absmax, std::fabs(w));
  return block_facts(lowest, absmax);
}

// Scales and sums by the definition, of a tensor whose blocks are cells; a strip of zero blocks is one too.
Quantized by_definition(const Tensor& tensor, Effort effort) {
  const BlockGrid grid = tensor.grid();
  const BlockCodec codec = block_codec(tensor.codec());
  Quantized result = rubbish(grid);
  result.codes.clear();
  const std::vector<std::span<const float>> blocks = blocks_of(tensor);
  const std::uint64_t per_strip = cells_per_strip(grid);
  for (std::size_t strip = 0; strip < result.sums.size(); ++strip) {
    double errors[kRunningSums] = {}, signals[kRunningSums] = {};
    for (std::uint64_t i = 0; i < per_strip && strip * per_strip + i < blocks.size(); ++i) {
      const std::span<const float> block = blocks[strip * per_strip + i];
      const BlockFacts facts = facts_of(block, lowest_block_exponent(codec.scale, codec.tensor_scale));
      std::vector<float> magnitudes;
      for (const float w : block) magnitudes.push_back(std::fabs(w) * exp2_int(-facts.exponent));
      const MagnitudeSums sums(magnitudes);
      const BlockScale best = BlockScan<MagnitudeSums>(ScanCodec(codec), facts, effort, sums).best();
      result.scales[strip * per_strip + i] = static_cast<std::uint8_t>(best.byte);
      const double unit = square_unit(facts.exponent);
      errors[i % kRunningSums] += cell_term(best.cost, unit);
      signals[i % kRunningSums] += cell_term(sums.signal(), unit);
    }
    result.sums[strip] = {sum_of_running(errors), sum_of_running(signals)};
  }
  return result;
}

Quantized by_backend(const Backend& backend, const Tensor& tensor, Effort effort) {
  Quantized result = quantize(backend, tensor, effort);
  result.codes.clear();
  return result;
}

std::vector<std::string> formats_and_scales() {
  std::vector<std::string> texts;
  for (const Format format : reference::all_formats()) {
    texts.push_back(to_string(format) + "/*/e8m0");
    texts.push_back(to_string(format) + "/*/ue4m3");
  }
  for (const char* const pair : {"E1M1+E2M0", "E2M0+E1M1", "E1M2+E2M1", "E1M3+E2M2", "E1M4+E2M3", "E1M5+E2M4",
                                 "E1M6+E2M5", "E3M0+E1M2", "E2M3+E4M1", "E4M3+E1M6", "E1M6+E7M0"})
    texts.push_back(std::string(pair) + "/*/ue4m3");
  return texts;
}

Encoding with_block(std::string text, const std::string& block) {
  return parse_encoding(text.replace(text.find('*'), 1, block));
}

TEST(BlockSearch, IsWhatTheCpuBackendDoes) {
  const auto backend = make_cpu_backend(1);
  const Shape shapes[] = {{3, 37}, {2, 130}, {7, 3, 11}, {1, 301}, {17, 127}, {5, 640}};
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const char* const block : {"row", "16", "32", "64", "128"})
      for (const DType dtype : kDTypes)
        for (const sample::Family family : sample::kFamilies) {
          if (sample::bits(18, ++number) % (sample::kSlow ? 12 : 2) != 0) continue;
          // Rows of one cell only.
          const Shape& shape =
              std::string(block) == "row" ? shapes[number % 3 * 2] : shapes[number % std::size(shapes)];
          const Tensor tensor{with_block(text, block), shape,
                              sample::make(dtype, family, element_count(shape), number)};
          SCOPED_TRACE(tensor.text() + " " + to_string(family));
          for (const Effort effort : {Effort::exact, Effort::fast})
            ASSERT_TRUE(by_definition(tensor, effort) == by_backend(*backend, tensor, effort));
        }
}

TEST(BlockSearch, IsWhatTheCpuBackendDoesAlmostInTheMiddle) {
  const auto backend = make_cpu_backend(1);
  for (const ScaleKind kind : {ScaleKind::e8m0, ScaleKind::ue4m3})
    for (const Format format : reference::all_formats()) {
      const Encoding encoding{format, {}, {BlockKind::small, 16}, kind};
      const Tensor tensor{encoding, {6400}, weights_near_middles(format, kind, 16, 400)};
      ASSERT_TRUE(by_definition(tensor, Effort::exact) == by_backend(*backend, tensor, Effort::exact))
          << tensor.text();
    }
}

// About the smallest scales that there are: s0 is one of the last, or would be smaller.
TEST(BlockSearch, IsWhatTheCpuBackendDoesAtTheSmallestScales) {
  const auto backend = make_cpu_backend(1);
  for (const std::string& text : formats_and_scales()) {
    const Encoding encoding = with_block(text, "16");
    std::vector<float> values;
    for (std::uint64_t i = 0; i < 1600; ++i) {
      // Under ue4m3 the first block has the tensor's largest weight, the others are about 2^15 below.
      const int octave = static_cast<int>(sample::bits(8, i / 16) % 8);
      const int exponent = encoding.scale == ScaleKind::e8m0 ? octave - 129 + encoding.format.max_exponent()
                           : i < 16                          ? 0
                                                             : octave - 20;
      values.push_back(static_cast<float>(std::ldexp(sample::gaussian(5, i), exponent)));
    }
    const Tensor tensor{encoding, {1600}, sample::weights_of(DType::F32, values)};
    for (const Effort effort : {Effort::exact, Effort::fast})
      ASSERT_TRUE(by_definition(tensor, effort) == by_backend(*backend, tensor, effort)) << text;
  }
}

TEST(BlockSearch, SumsOfSeveralStripsAreTheBackends) {
  const auto backend = make_cpu_backend(1);
  const std::pair<const char*, Shape> tensors[] = {
      {"E2M1/16/e8m0", {37, 5001}}, {"E1M2+E2M1/128/ue4m3", {3, 70'001}}, {"E3M2/row/e8m0", {1300, 100}}};
  for (const auto& [text, shape] : tensors) {
    const Tensor tensor{parse_encoding(text), shape,
                        sample::make(DType::F32, sample::Family::heavy_tails, element_count(shape), 3)};
    EXPECT_TRUE(by_definition(tensor, Effort::exact) == by_backend(*backend, tensor, Effort::exact))
        << tensor.text();
  }
}

// No scale that exists costs less than the one that the scan finds, whatever the bounds that end it.
TEST(BlockSearch, ScansAreComplete) {
  for (const char* const text : {"E1M0/32/ue4m3", "E2M0/32/ue4m3", "E2M1/32/ue4m3", "E1M6/32/ue4m3"}) {
    const Encoding encoding = parse_encoding(text);
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const Tensor tensor{
          encoding, {1, 32}, sample::make(DType::BF16, sample::kFamilies[seed % 2], 32, seed)};
      const BlockCodec codec = block_codec(tensor.codec());
      const BlockFacts facts =
          facts_of(tensor.weights.values, lowest_block_exponent(codec.scale, codec.tensor_scale));
      std::vector<float> magnitudes;
      for (const float w : tensor.weights.values)
        magnitudes.push_back(std::fabs(w) * exp2_int(-facts.exponent));
      const MagnitudeSums sums(magnitudes);
      const BlockScale best = BlockScan<MagnitudeSums>(ScanCodec(codec), facts, Effort::exact, sums).best();
      const Rounding rounding(encoding.format);
      const float unit = codec.tensor_scale * exp2_int(-facts.exponent);
      float least = 0x1p100f;
      for (std::uint32_t byte = 1; byte <= kUe4m3Max; ++byte) {
        const float scale = ue4m3_value(byte) * unit;
        least = std::min(least, sums.error({rounding, scale, scale_reciprocal(scale), false, true}));
      }
      ASSERT_EQ(best.cost, least) << text << " " << seed;
    }
  }
}

}  // namespace
}  // namespace afp
