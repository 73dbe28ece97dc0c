// The scan for the scale of a row of several cells, one weight at a time: what the CPU backend chooses, and
// no scale is better that it leaves out.
#include "afp/row_scan.hpp"

#include <gtest/gtest.h>

#include "afp/cell_sum.hpp"
#include "quantized.hpp"
#include "reference.hpp"

namespace afp {
namespace {

using sample::Family;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

// The sum over a row of the squares of term(magnitude), as afp/block_grid.hpp says: cells of 128 weights, of
// four running sums each, cell i to running sum i mod 16 of its strip, strips from left to right.
template <class Term>
double sum_of_squares(std::span<const float> magnitudes, const Term& term) {
  double total = 0.0;
  for (std::size_t strip = 0; strip < magnitudes.size(); strip += kStripWeights) {
    CellSum sum;
    const std::size_t end = std::min<std::size_t>(strip + kStripWeights, magnitudes.size());
    for (std::size_t cell = strip; cell < end; cell += kSegment) {
      float sums[4] = {};
      for (std::size_t j = cell; j < std::min<std::size_t>(cell + kSegment, end); ++j) {
        const float value = term(magnitudes[j]);
        sums[j % 4] += value * value;
      }
      sum.lanes[(cell - strip) / kSegment % 16] +=
          static_cast<double>((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    total += sum.total();
  }
  return total;
}

// A row in its unit.
struct Row {
  Row(const Tensor& tensor, std::span<const float> weights)
      : codec(block_codec(tensor.codec())), magnitudes(weights.begin(), weights.end()) {
    for (float& w : magnitudes) absmax = std::max(absmax, w = std::fabs(w));
    exponent = block_exponent(lowest_block_exponent(codec.scale, codec.tensor_scale), absmax);
    for (float& w : magnitudes) w *= exp2_int(-exponent);
  }
  RowScan scan() const { return {codec, codec.tensor_scale, absmax, exponent}; }
  double error(const BlockTrial& trial) const {
    return sum_of_squares(magnitudes, [&](float a) {
      return block_difference(trial.rounding, a, trial.scale, trial.reciprocal);
    });
  }

  BlockCodec codec;
  std::vector<float> magnitudes;
  float absmax = 0.0f;
  int exponent = 0;
};

struct Choice {
  double error;
  std::uint32_t byte;
  int steps;
};

Choice scan(const Row& row) {
  RowScan scan = row.scan();
  int steps = 0;
  for (int f = 0; f < row.codec.format_count; ++f)
    for (scan.begin(f); !scan.done(); ++steps) {
      double errors[RowScan::kMostAsked] = {};
      for (int i = 0; i < scan.asked(); ++i) {
        const BlockTrial trial = scan.trial(i);
        errors[i] = row.error(trial);
        const float limit = trial.scale * trial.rounding.max_value;
        EXPECT_EQ(trial.may_clip, limit < row.absmax * exp2_int(-row.exponent));
        EXPECT_EQ(trial.is_power, row.codec.is_e8m0());
      }
      const float limit = scan.limit();
      const double clipped =
          sum_of_squares(row.magnitudes, [&](float a) { return clipped_difference(a, limit); });
      if (!scan.limit_clips()) {
        EXPECT_EQ(clipped, 0.0);
      }
      scan.take(errors, clipped);
    }
  return {scan.best(), scan.best_byte(), steps};
}

// Every scale of either Format that may win, `depth` binades below the largest that does not clip.
Choice best_of_all(const Row& row, int depth) {
  Choice best{std::numeric_limits<double>::infinity(), 0, 0};
  float best_scale = 0.0f;
  for (int f = 0; f < row.codec.format_count; ++f) {
    const Format format = row.codec.formats[f];
    const Rounding rounding(format);
    const bool is_e8m0 = row.codec.is_e8m0();
    const int top =
        is_e8m0 ? e8m0_first_exponent(format, row.absmax) + kE8m0Bias
                : static_cast<int>(ue4m3_scan_top(ue4m3_first(format, row.absmax / row.codec.tensor_scale)));
    const int lowest = is_e8m0 ? std::max(min_scale_exponent(format) + kE8m0Bias, top - depth) : 1;
    for (int byte = top; byte >= lowest; --byte) {
      const double value = row.codec.exact_scale(static_cast<std::uint32_t>(byte));
      const auto scale = static_cast<float>(std::ldexp(value, -row.exponent));
      const double error = row.error({rounding, scale, scale_reciprocal(scale), is_e8m0, true});
      if (error > best.error || (error == best.error && scale <= best_scale)) continue;
      best = {error, static_cast<std::uint32_t>(byte) | (f == 0 ? 0u : kUe4m3Alternative), 0};
      best_scale = scale;
    }
  }
  return best;
}

std::vector<std::string> encodings() {
  std::vector<std::string> texts;
  for (const Format format : reference::all_formats()) {
    texts.push_back(to_string(format) + "/row/e8m0");
    texts.push_back(to_string(format) + "/row/ue4m3");
  }
  for (const char* const pair :
       {"E1M1+E2M0", "E1M2+E2M1", "E2M1+E1M2", "E1M4+E2M3", "E3M0+E1M2", "E1M6+E7M0"})
    texts.push_back(std::string(pair) + "/row/ue4m3");
  return texts;
}

template <class Body>
void for_each_tensor(int one_in, const Body& body) {
  std::uint64_t number = 0;
  for (const std::string& text : encodings())
    for (const DType dtype : kDTypes)
      for (const Family family : sample::kFamilies) {
        if (sample::bits(17, ++number) % static_cast<unsigned>(sample::kSlow ? 10 * one_in : one_in) != 0)
          continue;
        const Shape shape = {3, 129 + sample::bits(18, number) % 1500};
        const Tensor tensor{parse_encoding(text), shape,
                            sample::make(dtype, family, element_count(shape), number)};
        SCOPED_TRACE(tensor.text() + " " + to_string(family));
        ASSERT_NO_FATAL_FAILURE(body(tensor));
      }
}

TEST(RowScan, ChoosesWhatTheCpuBackendChooses) {
  const auto backend = make_cpu_backend(1);
  const auto check = [&](const Tensor& tensor) {
    const Quantized expected = quantize(*backend, tensor, Effort::exact);
    double error = 0.0;
    std::size_t r = 0;
    for (const std::span<const float> weights : blocks_of(tensor)) {
      const Row row(tensor, weights);
      const Choice choice = scan(row);
      ASSERT_EQ(choice.byte, expected.scales[r++]);
      error += choice.error * square_unit(row.exponent);
    }
    ASSERT_EQ(error, expected.sums[0].error);
  };
  for_each_tensor(2, check);
  check({parse_encoding("E1M2+E2M1/row/ue4m3"),
         {1, 150'001},
         sample::make(DType::BF16, Family::heavy_tails, 150'001, 3)});
}

TEST(RowScan, LeavesOutNothingBetter) {
  for_each_tensor(8, [&](const Tensor& tensor) {
    for (const std::span<const float> weights : blocks_of(tensor)) {
      const Row row(tensor, weights);
      const Choice choice = scan(row);
      if (row.absmax == 0.0f) continue;
      const Choice best = best_of_all(row, 24);
      ASSERT_EQ(choice.error, best.error);
      ASSERT_EQ(choice.byte, best.byte);
    }
  });
}

TEST(RowScan, IsShortWhereFewScalesCanWin) {
  const Shape shape = {1, 4096};
  const auto steps = [&](const char* text) {
    const Tensor tensor{parse_encoding(text), shape, sample::make(DType::BF16, Family::gaussian, 4096, 1)};
    return scan(Row(tensor, blocks_of(tensor)[0])).steps;
  };
  EXPECT_EQ(steps("E2M1/row/e8m0"), 1);
  EXPECT_LE(steps("E1M6/row/e8m0"), 2);
  EXPECT_LE(steps("E4M3/row/e8m0"), 2);
  EXPECT_LE(steps("E1M2+E2M1/row/ue4m3"), 11);
}

TEST(RowScan, OfZerosAsksNothing) {
  for (const char* const text : {"E2M1/row/e8m0", "E1M2+E2M1/row/ue4m3"}) {
    const Tensor tensor{
        parse_encoding(text), {1, 300}, sample::weights_of(DType::F32, std::vector<float>(300))};
    const Choice choice = scan(Row(tensor, blocks_of(tensor)[0]));
    EXPECT_EQ(choice.steps, 0);
    EXPECT_EQ(choice.byte, 0u);
    EXPECT_EQ(choice.error, 0.0);
  }
}

}  // namespace
}  // namespace afp
