// What many candidates cost in one pass: the same bits as choosing scales for each alone, the oracle's costs,
// samples, and errors weighted by column.
#include <gtest/gtest.h>

#include <cmath>

#include "afp/block_sample.hpp"
#include "afp/error.hpp"
#include "backends.hpp"
#include "expect_error.hpp"
#include "near_middles.hpp"
#include "quantized.hpp"
#include "reference.hpp"

namespace afp {
namespace {

using reference::Grid;
using reference::Real;
using reference::ScaleSearch;
using sample::Family;
using Sums = std::vector<std::vector<StripSums>>;  // [candidate][strip]

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
const char* const kBlocks[] = {"row", "16", "32", "64", "128"};
const Shape kShapes[] = {{1},      {3, 37},  {5, 16},   {2, 130}, {7, 3, 11},
                         {1, 301}, {3, 640}, {17, 129}, {33, 128}};

// All Formats under both kinds of scale, the default pairs and some others, out of order.
std::vector<TensorCodec> all_candidates(const std::string& block, const Shape& shape,
                                        const sample::Weights& weights) {
  std::vector<std::string> texts;
  for (const Format format : reference::all_formats()) {
    texts.push_back(to_string(format) + "/" + block + "/ue4m3");
    texts.push_back(to_string(format) + "/" + block + "/e8m0");
  }
  for (const char* const pair : {"E1M1+E2M0", "E1M2+E2M1", "E1M3+E2M2", "E1M4+E2M3", "E1M5+E2M4", "E1M6+E2M5",
                                 "E3M0+E1M2", "E2M3+E4M1", "E1M6+E7M0"})
    texts.push_back(std::string(pair) + "/" + block + "/ue4m3");
  std::vector<TensorCodec> candidates;
  for (std::size_t i = 0; i < texts.size(); ++i)
    candidates.push_back(Tensor{parse_encoding(texts[i * 31 % texts.size()]), shape, weights}.codec());
  return candidates;
}

Sums block_costs(const Backend& backend, const Tensor& tensor, std::span<const TensorCodec> candidates,
                 Effort effort, std::uint32_t sample = 1, Cutting cutting = {}) {
  const BlockGrid grid = tensor.grid();
  Sums result(candidates.size(), rubbish(grid).sums);
  for_each_piece(tensor, grid, cutting,
                 [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
                   std::vector<std::span<StripSums>> sums;
                   for (std::vector<StripSums>& all : result)
                     sums.push_back(part(all, strip, strip + strips));
                   backend.block_costs(piece, candidates, effort, sample, sums);
                 });
  return result;
}

// A tensor under the first of these candidates, which decides nothing but the grid's block.
Tensor with_weights(const std::vector<TensorCodec>& candidates, const Shape& shape,
                    const sample::Weights& weights) {
  return {candidates[0].encoding, shape, weights};
}

TEST(BlockCosts, AreTheSumsOfQuantizingWithEachCandidateAlone) {
  const std::vector<BackendCase> cases = backend_cases(1);
  std::uint64_t number = 0;
  for (const char* const block : kBlocks)
    for (const DType dtype : kDTypes)
      for (const Family family : sample::kFamilies)
        for (const Shape& shape : kShapes) {
          if (sample::bits(3, ++number) % (sample::kSlow ? 20 : 2) != 0) continue;
          const sample::Weights weights = sample::make(dtype, family, element_count(shape), number);
          const std::vector<TensorCodec> candidates = all_candidates(block, shape, weights);
          const Tensor tensor = with_weights(candidates, shape, weights);
          SCOPED_TRACE(tensor.text() + " " + to_string(family));
          const Effort effort = number % 4 == 0 ? Effort::fast : Effort::exact;
          Sums alone;
          {
            const RunningBackend backend(cases.front());
            for (const TensorCodec& candidate : candidates)
              alone.push_back(quantize(*backend, {candidate.encoding, shape, weights}, effort).sums);
          }
          for (const BackendCase& which : cases) {
            const Sums together =
                block_costs(*RunningBackend(which), tensor, candidates, effort, 1, {0, number % 2 == 0});
            for (std::size_t c = 0; c < candidates.size(); ++c)
              EXPECT_EQ(sum_bits(together[c]), sum_bits(alone[c]))
                  << which.name << " " << to_string(candidates[c].encoding);
          }
          if (HasFailure()) return;
        }
}

TEST(BlockCosts, AreThoseOfTheOracle) {
  constexpr Real kTolerance = 1e-5L;  // of errors that a backend sums up in float32
  const RunningBackend backend(backend_cases(1).front());
  std::uint64_t number = 0;
  for (const char* const block : kBlocks)
    for (const Family family : sample::kFamilies)
      for (const DType dtype : kDTypes) {
        if (sample::kSlow && ++number % 10 != 0) continue;
        const Shape shape = {2, 150};
        const sample::Weights weights = sample::make(dtype, family, element_count(shape), 70 + ++number);
        const std::vector<TensorCodec> candidates = all_candidates(block, shape, weights);
        const Tensor tensor = with_weights(candidates, shape, weights);
        SCOPED_TRACE(tensor.text() + " " + to_string(family));
        const Sums sums = block_costs(*backend, tensor, candidates, Effort::exact);
        for (std::size_t c = number % 7; c < candidates.size(); c += 7) {
          const ScaleSearch search(candidates[c].encoding, candidates[c].tensor_scale);
          Real error = 0, signal = 0;
          for (const std::span<const float> weights_of_block : blocks_of(tensor)) {
            error += search.best(weights_of_block).error;
            signal += reference::sum_of_squares(weights_of_block);
          }
          ASSERT_EQ(sums[c].size(), 1u);
          ASSERT_LE(std::fabs(sums[c][0].error - error), kTolerance * error)
              << to_string(candidates[c].encoding) << " " << sums[c][0].error << " " << error;
          ASSERT_LE(std::fabs(sums[c][0].signal - signal), kTolerance * signal);
        }
      }
}

TEST(BlockCosts, RoundAsTheCodesWhereAWeightIsAlmostInTheMiddle) {
  for (const ScaleKind kind : {ScaleKind::ue4m3, ScaleKind::e8m0})
    for (const Format format : reference::all_formats()) {
      const Encoding encoding{format, {}, {BlockKind::small, 16}, kind};
      const Tensor tensor{encoding, {6400}, weights_near_middles(format, kind, 16, 400)};
      const TensorCodec codec = tensor.codec();
      for (const BackendCase& which : backend_cases(1)) {
        const RunningBackend backend(which);
        EXPECT_EQ(sum_bits(block_costs(*backend, tensor, {&codec, 1}, Effort::exact)[0]),
                  sum_bits(quantize(*backend, tensor, Effort::exact).sums))
            << which.name << " " << tensor.text();
      }
    }
}

// The same of blocks of any weights: two of each are moved next to a middle of the scale chosen before.
TEST(BlockCosts, RoundAsTheCodesAlmostInTheMiddleUnderAnyBestScale) {
  const RunningBackend backend(backend_cases(1).front());
  std::uint64_t number = 900;
  for (const char* const scale_kind : {"ue4m3", "e8m0"})
    for (const Format format : reference::all_formats()) {
      const Grid grid(format);
      Tensor tensor{parse_encoding(to_string(format) + "/16/" + scale_kind),
                    {6400},
                    sample::make(DType::F32, Family::gaussian, 25'600, ++number)};
      const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
      const Quantized quantized = quantize(*backend, tensor, Effort::exact);
      std::vector<float> values = tensor.weights.values;
      for (std::size_t b = 0; b < quantized.scales.size(); ++b) {
        const Real scale = search.find(quantized.scales[b])->value;
        const float largest = reference::absmax(std::span(values).subspan(16 * b, 16));
        for (std::size_t i = 16 * b; i < 16 * b + 2; ++i) {
          const float magnitude = std::fabs(values[i]);
          const std::uint32_t code = grid.nearest(magnitude / scale);
          if (magnitude == largest || code + 1 == grid.size()) continue;
          values[i] = static_cast<float>((grid[code] + grid[code + 1]) / 2 * scale);
          const std::uint64_t bits = sample::bits(number, i);
          for (std::uint64_t step = 0; step < bits % 3; ++step)
            values[i] = std::nextafter(values[i], bits % 2 == 0 ? 0.0f : INFINITY);
          if (values[i] > largest) values[i] = magnitude;
        }
      }
      tensor.weights = sample::weights_of(DType::F32, values);
      const TensorCodec codec = tensor.codec();
      EXPECT_EQ(sum_bits(block_costs(*backend, tensor, {&codec, 1}, Effort::exact)[0]),
                sum_bits(quantize(*backend, tensor, Effort::exact).sums))
          << tensor.text();
    }
}

struct LargeTensor {
  const char* block;
  Shape shape;
};
const LargeTensor kLargeTensors[] = {{"32", {37, 5001}},   {"16", {37, 5001}},  {"128", {1, 200'000}},
                                     {"row", {3, 70'000}}, {"row", {701, 301}}, {"row", {1500, 100}}};

std::vector<TensorCodec> some_candidates(const LargeTensor& large, const sample::Weights& weights) {
  std::vector<TensorCodec> candidates;
  for (const char* const text :
       {"E2M1/*/e8m0", "E1M5/*/e8m0", "E3M0/*/e8m0", "E4M3/*/e8m0", "E1M2+E2M1/*/ue4m3", "E3M2/*/ue4m3"}) {
    std::string name = text;
    name.replace(name.find('*'), 1, large.block);
    candidates.push_back(Tensor{parse_encoding(name), large.shape, weights}.codec());
  }
  return candidates;
}

TEST(BlockCosts, AreTheSameInAnyPiecesAndThreads) {
  std::uint64_t number = 0;
  for (const LargeTensor& large : kLargeTensors) {
    const DType dtype = kDTypes[++number % 3];
    const sample::Weights weights =
        sample::make(dtype, Family::heavy_tails, element_count(large.shape), number);
    const std::vector<TensorCodec> candidates = some_candidates(large, weights);
    const Tensor tensor = with_weights(candidates, large.shape, weights);
    SCOPED_TRACE(tensor.text());
    for (const std::uint32_t sample : {1u, 5u}) {
      std::vector<std::vector<std::uint64_t>> first;
      for (const BackendCase& which : backend_cases(3)) {
        if (which.threads == 2 && which.simd_target != backend_cases(1).front().simd_target) continue;
        const Cutting cutting{which.threads == 1 ? 0u : 1u, which.threads == 3};
        const Sums sums =
            block_costs(*RunningBackend(which), tensor, candidates, Effort::exact, sample, cutting);
        std::vector<std::vector<std::uint64_t>> bits;
        for (const std::vector<StripSums>& strips : sums) bits.push_back(sum_bits(strips));
        ASSERT_GT(sums[0].size(), 1u);
        if (first.empty()) first = bits;
        EXPECT_EQ(bits, first) << which.name;
      }
    }
  }
}

// The tensor with zeros where a sample does not look, or only there.
Tensor masked(const Tensor& tensor, std::uint32_t one_in, bool keep_taken) {
  const BlockGrid grid = tensor.grid();
  std::vector<bool> taken(grid.weights());
  BlockSample(grid, one_in).for_each_unit({0, grid.cells()}, [&](CellRange unit) {
    for (std::uint64_t i = grid.weight_begin(unit.first); i < grid.weight_begin(unit.first + unit.count); ++i)
      taken[i] = true;
  });
  Tensor result = tensor;
  std::vector<float> values = tensor.weights.values;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (taken[i] != keep_taken) values[i] = 0.0f;
  result.weights = sample::weights_of(tensor.weights.dtype, values);
  return result;
}

TEST(BlockCosts, OfASampleAreThoseOfItsBlocksAndTheRestMakeTheWhole) {
  const RunningBackend backend(backend_cases(1).front());
  std::uint64_t number = 0;
  for (const LargeTensor& large : kLargeTensors)
    for (const std::uint32_t one_in : {2u, 16u, 100'000u}) {
      const DType dtype = kDTypes[++number % 3];
      const sample::Weights weights =
          sample::make(dtype, Family::gaussian, element_count(large.shape), number);
      const std::vector<TensorCodec> candidates = some_candidates(large, weights);
      const Tensor tensor = with_weights(candidates, large.shape, weights);
      SCOPED_TRACE(tensor.text() + " 1/" + std::to_string(one_in));
      const Sums whole = block_costs(*backend, tensor, candidates, Effort::exact);
      const Sums sampled = block_costs(*backend, tensor, candidates, Effort::exact, one_in);
      const Sums taken = block_costs(*backend, masked(tensor, one_in, true), candidates, Effort::exact);
      const Sums rest = block_costs(*backend, masked(tensor, one_in, false), candidates, Effort::exact);
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        EXPECT_EQ(sum_bits(sampled[c]), sum_bits(taken[c])) << to_string(candidates[c].encoding);
        double sampled_total = 0.0;
        for (std::size_t s = 0; s < whole[c].size(); ++s) {
          sampled_total += sampled[c][s].signal;
          EXPECT_NEAR(sampled[c][s].error + rest[c][s].error, whole[c][s].error, 1e-12 * whole[c][s].error);
          EXPECT_NEAR(sampled[c][s].signal + rest[c][s].signal, whole[c][s].signal,
                      1e-12 * whole[c][s].signal);
        }
        EXPECT_GT(sampled_total, 0.0);
      }
    }
}

// --- Weighted by column ------------------------------------------------------------------------------------

std::vector<double> weighted_errors(const Backend& backend, const Tensor& tensor,
                                    std::vector<std::uint8_t> scales, std::span<const float> importance,
                                    Cutting cutting = {}) {
  const BlockGrid grid = tensor.grid();
  std::vector<double> errors(strip_count(grid, {0, grid.cells()}), 1e300);
  for_each_piece(tensor, grid, cutting,
                 [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
                   backend.weighted_errors(piece, tensor.codec(), scales_of(piece, scales), importance,
                                           part(errors, strip, strip + strips));
                 });
  return errors;
}

double total(const std::vector<double>& errors) {
  double sum = 0.0;
  for (const double error : errors) sum += error;
  return sum;
}

// Any scale that the Encoding has for every block: not only such as were chosen for it.
std::vector<std::uint8_t> any_scales(const Tensor& tensor, std::uint64_t seed) {
  const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
  std::vector<std::uint8_t> bytes;
  for (const std::span<const float> block : blocks_of(tensor)) {
    const Real s0 = search.s0(*search.scales()[0].grid, reference::absmax(block));
    std::vector<std::uint8_t> near;
    for (const reference::Scale& scale : search.scales())
      if (scale.value < 4 * s0 && scale.value > s0 / 8) near.push_back(scale.byte);
    bytes.push_back(near.empty() ? search.scales()[0].byte
                                 : near[sample::bits(seed, bytes.size()) % near.size()]);
  }
  return bytes;
}

std::vector<float> any_importance(std::uint64_t columns, std::uint64_t seed) {
  std::vector<float> importance;
  for (std::uint64_t i = 0; i < columns; ++i) {
    const double spread =
        std::ldexp(sample::uniform(seed, i), static_cast<int>(sample::bits(seed, i) % 40) - 20);
    importance.push_back(sample::bits(seed + 1, i) % 5 == 0 ? 0.0f : static_cast<float>(spread));
  }
  return importance;
}

Real expected_weighted_error(const Tensor& tensor, std::span<const std::uint8_t> scales,
                             std::span<const float> importance) {
  const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
  Real sum = 0;
  std::size_t b = 0, weight = 0;
  for (const std::span<const float> block : blocks_of(tensor)) {
    const reference::Scale& scale = *search.find(scales[b++]);
    const float r = reference::reciprocal(scale.value);
    for (const float w : block) {
      const float magnitude = std::fabs(w);
      const Real error =
          magnitude - scale.value * (*scale.grid)[scale.grid->nearest(reference::scaled(magnitude, r))];
      sum += static_cast<Real>(importance[weight++ % importance.size()]) * error * error;
    }
  }
  return sum;
}

TEST(WeightedErrors, AreThoseOfTheOracleOnAllTargets) {
  const std::vector<BackendCase> cases = backend_cases(1);
  std::uint64_t number = 0;
  for (const Format format : reference::all_formats())
    for (const char* const rest : {"/tensor/e8m0", "/row/e8m0", "/16/ue4m3", "/32/e8m0", "/128/ue4m3",
                                   "+/64/ue4m3", "+/row/ue4m3", "+/tensor/ue4m3"}) {
      const Shape& shape = kShapes[++number % std::size(kShapes)];
      std::string text = to_string(format) + rest;
      const std::size_t plus = text.find('+');
      if (plus != std::string::npos) {  // with another Format of the same N
        const std::vector<Format> formats = formats_of(format.bits());
        if (formats.size() == 1) continue;
        const std::size_t at = formats[0] == format ? formats.size() - 1 : 0;
        text.insert(plus + 1, to_string(formats[at]));
      }
      const Family family = sample::kFamilies[number % std::size(sample::kFamilies)];
      const Tensor tensor{parse_encoding(text), shape,
                          sample::make(kDTypes[number % 3], family, element_count(shape), number)};
      SCOPED_TRACE(tensor.text() + " " + to_string(family));
      const std::vector<std::uint8_t> scales = any_scales(tensor, number);
      const std::vector<float> importance = any_importance(tensor.grid().columns, number);
      const Real expected = expected_weighted_error(tensor, scales, importance);
      std::vector<double> first;
      for (const BackendCase& which : cases) {
        const std::vector<double> errors =
            weighted_errors(*RunningBackend(which), tensor, scales, importance, {0, true});
        if (first.empty()) first = errors;
        EXPECT_EQ(errors, first) << which.name;
      }
      ASSERT_LE(std::fabs(total(first) - expected), 1e-12L * expected) << total(first) << " " << expected;
    }
}

TEST(WeightedErrors, WeighByColumnInAnyPiecesAndThreads) {
  const std::pair<const char*, Shape> tensors[] = {{"E2M1/32/e8m0", {37, 5001}},
                                                   {"E1M2+E2M1/16/ue4m3", {37, 5001}},
                                                   {"E2M2/row/e8m0", {701, 301}},
                                                   {"E1M2+E2M1/row/ue4m3", {3, 70'000}},
                                                   {"E3M3/tensor/e8m0", {41, 4099}}};
  std::uint64_t number = 0;
  for (const auto& [text, shape] : tensors) {
    const DType dtype = kDTypes[++number % 3];
    const Tensor tensor{parse_encoding(text), shape,
                        sample::make(dtype, Family::heavy_tails, element_count(shape), number)};
    SCOPED_TRACE(tensor.text());
    const std::vector<std::uint8_t> scales = any_scales(tensor, number);
    const std::vector<float> importance = any_importance(tensor.grid().columns, number);
    const Real expected = expected_weighted_error(tensor, scales, importance);
    std::vector<double> first;
    for (const BackendCase& which : backend_cases(3)) {
      const Cutting cutting{which.threads == 1 ? 0u : 1u, which.threads == 3};
      const std::vector<double> errors =
          weighted_errors(*RunningBackend(which), tensor, scales, importance, cutting);
      ASSERT_GT(errors.size(), 1u);
      if (first.empty()) first = errors;
      EXPECT_EQ(errors, first) << which.name;
    }
    EXPECT_LE(std::fabs(total(first) - expected), 1e-12L * expected);

    // Columns one by one make the whole.
    const std::uint64_t columns = tensor.grid().columns;
    std::vector<float> even(importance), odd(importance);
    for (std::uint64_t i = 0; i < columns; ++i) (i % 2 == 0 ? odd : even)[i] = 0.0f;
    const RunningBackend backend(backend_cases(1).front());
    const double halves = total(weighted_errors(*backend, tensor, scales, even)) +
                          total(weighted_errors(*backend, tensor, scales, odd));
    EXPECT_NEAR(halves, total(first), 1e-12 * total(first));
    for (const double error : weighted_errors(*backend, tensor, scales, std::vector<float>(columns, 0.0f)))
      EXPECT_EQ(error, 0.0);
  }
}

// The sums in the order that backend.hpp promises. A value of a code times its scale is exact in double.
std::vector<double> weighted_errors_in_order(const Tensor& tensor, std::span<const std::uint8_t> scales,
                                             std::span<const float> importance) {
  const BlockGrid grid = tensor.grid();
  const ScaleSearch search(tensor.encoding, tensor.codec().tensor_scale);
  std::vector<double> errors;
  for (std::uint64_t strip = 0; strip < grid.cells(); strip += cells_per_strip(grid)) {
    double cells[16] = {};
    for (std::uint64_t i = 0; i < cells_per_strip(grid) && strip + i < grid.cells(); ++i) {
      const std::uint64_t cell = strip + i;
      const reference::Scale& scale = *search.find(scales[grid.scale_index(cell)]);
      double sums[4] = {};
      for (int j = 0; j < grid.cell_weights(cell); ++j) {
        const std::uint64_t at = grid.weight_begin(cell) + static_cast<std::uint64_t>(j);
        const float magnitude = std::fabs(tensor.weights.values[at]);
        const float y = reference::scaled(magnitude, reference::reciprocal(scale.value));
        const auto value = static_cast<double>(scale.value * (*scale.grid)[scale.grid->nearest(y)]);
        const double error = static_cast<double>(magnitude) - value;
        sums[j % 4] += static_cast<double>(importance[at % grid.columns]) * (error * error);
      }
      cells[i % 16] += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
    for (int width = 1; width < 16; width *= 2)
      for (int i = 0; i < 16; i += 2 * width) cells[i] += cells[i + width];
    errors.push_back(cells[0]);
  }
  return errors;
}

TEST(WeightedErrors, AreSummedInTheOrderPromised) {
  const std::pair<const char*, Shape> tensors[] = {{"E2M1/32/e8m0", {37, 2001}},
                                                   {"E1M2+E2M1/16/ue4m3", {37, 2001}},
                                                   {"E2M2/row/e8m0", {701, 301}},
                                                   {"E1M2+E2M1/row/ue4m3", {3, 70'000}},
                                                   {"E3M3/tensor/e8m0", {41, 2099}}};
  const RunningBackend backend(backend_cases(1).front());
  std::uint64_t number = 40;
  for (const auto& [text, shape] : tensors) {
    ++number;
    const Tensor tensor{parse_encoding(text), shape,
                        sample::make(kDTypes[number % 3], Family::gaussian, element_count(shape), number)};
    const std::vector<std::uint8_t> scales = any_scales(tensor, number);
    const std::vector<float> importance = any_importance(tensor.grid().columns, number);
    EXPECT_EQ(weighted_errors(*backend, tensor, scales, importance),
              weighted_errors_in_order(tensor, scales, importance))
        << tensor.text();
  }
}

TEST(WeightedErrors, UnderWeightsOfOneAreThePlainErrors) {
  const RunningBackend backend(backend_cases(1).front());
  std::uint64_t number = 0;
  for (const char* const block : {"row", "16", "32", "128"})
    for (const char* const format : {"E1M2+E2M1/*/ue4m3", "E3M1/*/e8m0", "E1M0/*/e8m0", "E7M0/*/ue4m3"})
      for (const Family family : sample::kFamilies) {
        std::string text = format;
        text.replace(text.find('*'), 1, block);
        const Shape shape = {19, 299};
        ++number;
        const Tensor tensor{parse_encoding(text), shape,
                            sample::make(kDTypes[number % 3], family, element_count(shape), number)};
        SCOPED_TRACE(tensor.text() + " " + to_string(family));
        const Quantized quantized = quantize(*backend, tensor, Effort::exact);
        const std::vector<float> ones(tensor.grid().columns, 1.0f);
        const std::vector<double> errors = weighted_errors(*backend, tensor, quantized.scales, ones);
        ASSERT_EQ(errors.size(), quantized.sums.size());
        for (std::size_t s = 0; s < errors.size(); ++s)
          EXPECT_NEAR(errors[s], quantized.sums[s].error, 1e-5 * errors[s]);
      }
}

TEST(BlockCosts, OfNothingAreNothing) {
  const RunningBackend backend(backend_cases(1).front());
  for (const Shape& shape : {Shape{0}, Shape{0, 7}, Shape{7, 0}})
    for (const char* const text : {"E2M1/row/e8m0", "E2M1/16/e8m0", "E1M2+E2M1/128/ue4m3"}) {
      const Tensor tensor{parse_encoding(text), shape, sample::weights_of(DType::F32, {})};
      const BlockGrid grid = tensor.grid();
      const WeightPiece piece{grid, {0, 0}, DType::F32, nullptr};
      const TensorCodec codec = tensor.codec();
      const std::span<StripSums> none;
      backend->block_costs(piece, {&codec, 1}, Effort::exact, 16, {&none, 1});
      backend->weighted_errors(piece, codec, {}, std::vector<float>(grid.columns, 1.0f), {});
    }
}

TEST(BlockCosts, RefuseTensorBlocksAndEmptySamples) {
  const RunningBackend backend(backend_cases(1).front());
  const BlockGrid tensor_grid({BlockKind::tensor, 0}, 4, {0}), small_grid({BlockKind::small, 16}, 4, {0});
  expect_error<UsageError>(
      [&] {
        backend->block_costs({tensor_grid, {0, 0}, DType::F32, nullptr}, {}, Effort::exact, 1, {});
      },
      "a tensor block is one block; expected row or small blocks to take a sample of");
  expect_error<UsageError>(
      [&] {
        backend->block_costs({small_grid, {0, 0}, DType::F32, nullptr}, {}, Effort::exact, 0, {});
      },
      "a sample takes one block in so many, found 0; expected 1 or more");
  expect_error<UsageError>(
      [&] {
        backend->block_costs({small_grid, {0, 0}, DType::F64, nullptr}, {}, Effort::exact, 1, {});
      },
      "a backend takes BF16, F16 or F32 weights, found F64");
}

}  // namespace
}  // namespace afp
