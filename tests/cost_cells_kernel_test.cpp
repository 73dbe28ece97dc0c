// Costs of candidates on the device: bit for bit what the CPU backend sums up.
#include <gtest/gtest.h>

#include "device_array.hpp"
#include "kernel_cases.hpp"
#include "kernels/cost_cells.hpp"
#include "quantized.hpp"

namespace afp {
namespace {

using sample::Family;

// Candidates of one tensor; the grid's bits are not looked at.
struct Question {
  Shape shape;
  sample::Weights weights;
  std::vector<TensorCodec> candidates;
  Effort effort = Effort::exact;
  std::uint32_t sample = 1;

  BlockGrid grid() const { return BlockGrid(candidates.front().encoding.block, 4, shape); }
};

using Costs = std::vector<std::vector<StripSums>>;  // [candidate][strip]

Costs no_costs(const Question& question) {
  const BlockGrid grid = question.grid();
  return Costs(question.candidates.size(),
               std::vector<StripSums>(strip_count(grid, {0, grid.cells()}), {7.0, 7.0}));
}

Costs by_backend(const Backend& backend, const Question& question) {
  const BlockGrid grid = question.grid();
  Costs costs = no_costs(question);
  const std::vector<std::span<StripSums>> sums(costs.begin(), costs.end());
  backend.block_costs({grid, {0, grid.cells()}, question.weights.dtype, question.weights.bytes.data()},
                      question.candidates, question.effort, question.sample, sums);
  return costs;
}

// Candidates that are normalized alike go together, at most kMostCostCandidates of them.
Costs on_device(const Question& question, Cutting cutting = {}) {
  const BlockGrid grid = question.grid();
  Costs costs = no_costs(question);
  const Tensor tensor{question.candidates.front().encoding, question.shape, question.weights};
  for_each_piece(tensor, grid, {cutting.strips_per_piece, false},
                 [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
                   const DeviceWeights weights(piece, cutting.unaligned);
                   std::vector<bool> done(question.candidates.size());
                   for (std::size_t c = 0; c < done.size(); ++c) {
                     kernels::CostCells task{weights.piece(), cells_per_strip(grid), {},     0,
                                             question.effort, question.sample,       nullptr};
                     std::vector<std::size_t> members;
                     for (std::size_t i = c; i < done.size() && members.size() < kernels::kMostCostCandidates;
                          ++i)
                       if (!done[i] && lowest_block_exponent(question.candidates[i]) ==
                                           lowest_block_exponent(question.candidates[c])) {
                         task.candidates[members.size()] = block_codec(question.candidates[i]);
                         members.push_back(i);
                         done[i] = true;
                       }
                     if (members.empty()) continue;
                     task.count = static_cast<int>(members.size());
                     DeviceArray<StripSums> sums(members.size() * strips);
                     task.sums = sums.data();
                     require_success(kernels::cost_cells(task, nullptr));
                     const std::vector<StripSums> all = sums.read();
                     for (std::size_t m = 0; m < members.size(); ++m)
                       std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(m * strips), strips,
                                   costs[members[m]].begin() + static_cast<std::ptrdiff_t>(strip));
                   }
                 });
  return costs;
}

void expect_same(const Costs& found, const Costs& expected, const Question& question) {
  for (std::size_t c = 0; c < expected.size(); ++c)
    ASSERT_EQ(sum_bits(found[c]), sum_bits(expected[c])) << to_string(question.candidates[c].encoding);
}

// Some candidates of formats_and_scales(), by a seed.
std::vector<TensorCodec> some_candidates(const std::string& block, const Shape& shape,
                                         const sample::Weights& weights, std::uint64_t seed,
                                         unsigned one_in) {
  std::vector<TensorCodec> codecs;
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales()) {
    if (sample::bits(seed, ++number) % one_in != 0) continue;
    codecs.push_back(Tensor{with_block(text, block), shape, weights}.codec());
  }
  return codecs;
}

TEST(CostCellsKernel, GivesWhatTheCpuBackendGives) {
  const auto backend = make_cpu_backend(1);
  std::uint64_t number = 0;
  for (int round = 0; round < (sample::kSlow ? 1 : 6); ++round)
    for (const char* const block : {"row", "16", "32", "64", "128"})
      for (const DType dtype : kDTypes)
        for (const Family family : sample::kFamilies) {
          ++number;
          const Shape& shape = cell_shape(block, number);
          const sample::Weights weights = sample::make(dtype, family, element_count(shape), number);
          const Question question{shape, weights, some_candidates(block, shape, weights, number, 6),
                                  number % 3 == 0 ? Effort::fast : Effort::exact,
                                  static_cast<std::uint32_t>(number % 4 == 0 ? 1 + number % 5 : 1)};
          const EmulatorSeed seed(number % 3);
          SCOPED_TRACE(std::string(block) + " " + to_string(shape) + " " + std::string(dtype_name(dtype)) +
                       " " + to_string(family) + " 1 in " + std::to_string(question.sample));
          ASSERT_NO_FATAL_FAILURE(expect_same(on_device(question, {0, number % 5 == 0}),
                                              by_backend(*backend, question), question));
        }
}

TEST(CostCellsKernel, AllFormatsAtOnce) {
  const auto backend = make_cpu_backend(1);
  for (const Family family : {Family::gaussian, Family::heavy_tails, Family::special}) {
    const Shape shape{9, 320};
    const sample::Weights weights = sample::make(DType::BF16, family, 2880, 17);
    Question question{shape, weights, {}};
    for (const Format format : reference::all_formats())
      question.candidates.push_back({{format, {}, {BlockKind::small, 32}, ScaleKind::e8m0}, 1.0f});
    ASSERT_EQ(question.candidates.size(), 28u);
    expect_same(on_device(question), by_backend(*backend, question), question);
  }
}

TEST(CostCellsKernel, RoundsAsTheCpuAlmostInTheMiddle) {
  const auto backend = make_cpu_backend(1);
  for (const ScaleKind kind : {ScaleKind::e8m0, ScaleKind::ue4m3})
    for (const Format format : reference::all_formats()) {
      const std::uint64_t blocks = sample::kSlow ? 40 : 400;
      const Shape shape{blocks * 16};
      const sample::Weights weights = weights_near_middles(format, kind, 16, blocks);
      Question question{shape, weights, {}};
      for (const Format other : {format, Format{2, 0}, Format{4, 0}, Format{1, 2}})
        question.candidates.push_back(
            Tensor{{other, {}, {BlockKind::small, 16}, kind}, shape, weights}.codec());
      ASSERT_NO_FATAL_FAILURE(expect_same(on_device(question), by_backend(*backend, question), question));
    }
}

TEST(CostCellsKernel, SeveralStripsPiecesAndSamples) {
  const auto backend = make_cpu_backend(1);
  const std::pair<const char*, Shape> tensors[] = {{"16", {37, 5001}},   {"32", {3, 65'536}},
                                                   {"64", {4, 50'001}},  {"128", {1, 200'000}},
                                                   {"row", {1301, 127}}, {"row", {1500, 30}}};
  std::uint64_t number = 0;
  for (const auto& [block, shape] : tensors)
    for (const std::uint32_t one_in : {1u, 3u, 16u, 64u, 1000u}) {
      ++number;
      const sample::Weights weights =
          sample::make(DType::BF16, Family::heavy_tails, element_count(shape), number);
      const Question question{shape, weights, some_candidates(block, shape, weights, number, 25),
                              Effort::exact, one_in};
      if (question.candidates.empty()) continue;
      const EmulatorSeed seed(number);
      SCOPED_TRACE(std::string(block) + " 1 in " + std::to_string(one_in));
      ASSERT_NO_FATAL_FAILURE(
          expect_same(on_device(question, {number % 3, false}), by_backend(*backend, question), question));
    }
}

}  // namespace
}  // namespace afp
