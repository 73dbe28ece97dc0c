// Rows of several cells on the device: scales byte for byte and sums bit for bit what the CPU backend gives.
#include <gtest/gtest.h>

#include <numeric>

#include "device_array.hpp"
#include "kernel_cases.hpp"
#include "kernels/search_rows.hpp"
#include "quantized.hpp"

namespace afp {
namespace {

using sample::Family;

// Candidates of one tensor that are normalized alike.
struct Question {
  Shape shape;
  sample::Weights weights;
  std::vector<TensorCodec> candidates;
  std::uint32_t one_in = 1;

  BlockGrid grid() const { return BlockGrid(candidates.front().encoding.block, 4, shape); }
  std::string text() const {
    return to_string(shape) + " " + std::string(dtype_name(weights.dtype)) + " " +
           to_string(candidates.front().encoding) + ", " + std::to_string(candidates.size()) +
           " candidates, 1 in " + std::to_string(one_in);
  }
};

Question question(const std::vector<std::string>& encodings, const Shape& shape, DType dtype, Family family,
                  std::uint64_t seed) {
  Question result{shape, sample::make(dtype, family, element_count(shape), seed), {}};
  for (const std::string& text : encodings)
    result.candidates.push_back(Tensor{parse_encoding(text), shape, result.weights}.codec());
  return result;
}

struct Answer {
  std::vector<std::vector<std::uint8_t>> scales;  // [candidate][row]; of a sample untouched
  std::vector<std::vector<StripSums>> sums;       // [candidate][strip]

  explicit Answer(const Question& question)
      : scales(question.candidates.size(), std::vector<std::uint8_t>(question.grid().rows, 0xAA)),
        sums(question.candidates.size(),
             std::vector<StripSums>(strip_count(question.grid(), {0, question.grid().cells()}), {7.0, 7.0})) {
  }
  friend bool operator==(const Answer& a, const Answer& b) {
    const auto same = [](const auto& x, const auto& y) { return sum_bits(x) == sum_bits(y); };
    return a.scales == b.scales &&
           std::equal(a.sums.begin(), a.sums.end(), b.sums.begin(), b.sums.end(), same);
  }
};

Answer by_backend(const Question& question) {
  const auto backend = make_cpu_backend(1);
  const BlockGrid grid = question.grid();
  const WeightPiece piece{grid, {0, grid.cells()}, question.weights.dtype, question.weights.bytes.data()};
  Answer answer(question);
  const std::vector<std::span<StripSums>> sums(answer.sums.begin(), answer.sums.end());
  if (question.one_in == 1) {
    const std::vector<std::span<std::uint8_t>> scales(answer.scales.begin(), answer.scales.end());
    backend->choose_scales(piece, question.candidates, Effort::exact, scales, sums);
  } else {
    backend->block_costs(piece, question.candidates, Effort::exact, question.one_in, sums);
  }
  return answer;
}

struct Wanted {
  bool scales = true, sums = true, tensor_scale_in_memory = false;
};

Answer on_device(const Question& question, Cutting cutting = {}, Wanted wanted = {}) {
  const BlockGrid grid = question.grid();
  const std::size_t count = question.candidates.size();
  Answer answer(question);
  const Tensor tensor{question.candidates.front().encoding, question.shape, question.weights};
  for_each_piece(
      tensor, grid, {cutting.strips_per_piece, false},
      [&](const WeightPiece& piece, std::uint64_t strip, std::uint64_t strips) {
        const DeviceWeights weights(piece, cutting.unaligned);
        const std::uint64_t rows = piece.cells.count / grid.cells_per_row;
        const std::uint64_t first_row = piece.cells.first / grid.cells_per_row;
        DeviceArray<std::uint8_t> scales(count * rows);
        DeviceArray<StripSums> row_sums(std::vector<StripSums>(count * rows, {5.0, 5.0})),
            sums(count * strips);
        const DeviceArray<float> tensor_scale(std::vector<float>{question.candidates[0].tensor_scale});
        kernels::SearchRows task{weights.piece(),
                                 cells_per_strip(grid),
                                 {},
                                 static_cast<int>(count),
                                 wanted.tensor_scale_in_memory ? tensor_scale.data() : nullptr,
                                 question.one_in,
                                 wanted.scales && question.one_in == 1 ? scales.data() : nullptr,
                                 row_sums.data(),
                                 wanted.sums ? sums.data() : nullptr};
        for (std::size_t c = 0; c < count; ++c) {
          task.candidates[c] = block_codec(question.candidates[c]);
          if (wanted.tensor_scale_in_memory) task.candidates[c].tensor_scale = 77.0f;
        }
        require_success(kernels::search_rows(task, nullptr));
        const std::vector<std::uint8_t> found_scales = scales.read();
        const std::vector<StripSums> found_sums = sums.read();
        for (std::size_t c = 0; c < count; ++c) {
          if (task.scales != nullptr)
            std::copy_n(found_scales.begin() + static_cast<std::ptrdiff_t>(c * rows), rows,
                        answer.scales[c].begin() + static_cast<std::ptrdiff_t>(first_row));
          if (task.sums != nullptr)
            std::copy_n(found_sums.begin() + static_cast<std::ptrdiff_t>(c * strips), strips,
                        answer.sums[c].begin() + static_cast<std::ptrdiff_t>(strip));
        }
      });
  return answer;
}

// Rows of several cells: of the kinds that a warp holds, that a block holds, and longer ones.
const Shape kShapes[] = {{5, 129},  {9, 256},  {3, 300},  {4, 512}, {5, 7, 91},
                         {3, 1024}, {1, 1000}, {2, 1025}, {3, 1600}};

TEST(SearchRowsKernel, GivesWhatTheCpuBackendGives) {
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const DType dtype : kDTypes)
      for (const Family family : sample::kFamilies) {
        if (sample::bits(28, ++number) % (sample::kSlow ? 20 : 1) != 0) continue;
        const Shape& shape = kShapes[sample::bits(9, number) % std::size(kShapes)];
        const Question asked = question({to_string(with_block(text, "row"))}, shape, dtype, family, number);
        SCOPED_TRACE(asked.text() + " " + to_string(family));
        const EmulatorSeed seed(number % 4);
        ASSERT_TRUE(on_device(asked, {0, number % 5 == 0}) == by_backend(asked));
      }
}

TEST(SearchRowsKernel, TakesRowsOfAnyLength) {
  std::uint64_t number = 0;
  for (const std::uint64_t columns : {2047u, 2048u, 4096u, 5001u, 8192u, 11'008u, 16'384u, 16'385u, 20'000u,
                                      65'536u, 65'537u, 131'072u, 150'001u})
    for (const char* const text : {"E2M1/row/e8m0", "E1M2+E2M1/row/ue4m3"}) {
      ++number;
      const Question asked = question({text}, {columns < 10'000 ? 3u : 1u, columns}, kDTypes[number % 3],
                                      number % 2 == 0 ? Family::heavy_tails : Family::gaussian, number);
      SCOPED_TRACE(asked.text());
      const EmulatorSeed seed(number % 3);
      ASSERT_TRUE(on_device(asked, {0, number % 4 == 0}) == by_backend(asked));
    }
}

// Where cells are of so many magnitudes that the order of additions shows in the sums.
TEST(SearchRowsKernel, AddsCellsInTheOrderPromised) {
  std::uint64_t number = 0;
  for (const Shape& shape : {Shape{600, 200}, Shape{100, 1000}, Shape{20, 4000}, Shape{3, 24'000},
                             Shape{1, 40'000}, Shape{1, 140'000}}) {
    const Question asked = question({"E2M1/row/e8m0"}, shape, DType::F32, Family::spread, ++number);
    ASSERT_TRUE(on_device(asked) == by_backend(asked)) << asked.text();
  }
}

TEST(SearchRowsKernel, SeveralStripsPiecesAndCandidates) {
  const std::vector<std::string> powers = {"E2M1/row/e8m0", "E1M2/row/e8m0", "E4M3/row/e8m0", "E3M0/row/e8m0",
                                           "E1M0/row/e8m0"};
  // Of like tensor scales.
  const std::vector<std::string> fractions = {"E1M2+E2M1/row/ue4m3", "E2M1+E1M2/row/ue4m3"};
  std::uint64_t number = 0;
  for (const Shape& shape : {Shape{1030, 130}, Shape{70, 2000}, Shape{5, 33'000}, Shape{3, 70'001}})
    for (const auto& encodings : {powers, fractions}) {
      const Question asked = question(encodings, shape, DType::BF16, Family::heavy_tails, ++number);
      SCOPED_TRACE(asked.text());
      const EmulatorSeed seed(number);
      ASSERT_TRUE(on_device(asked, {number % 3, false}) == by_backend(asked));
    }
}

TEST(SearchRowsKernel, OfASampleAreTheRowsThatAreTaken) {
  std::uint64_t number = 0;
  for (const Shape& shape :
       {Shape{1030, 130}, Shape{2100, 140}, Shape{200, 2000}, Shape{13, 17'000}, Shape{2, 300}})
    for (const std::uint32_t one_in : {2u, 7u, 16u, 1000u}) {
      Question asked =
          question({"E2M1/row/e8m0", "E1M4/row/e8m0"}, shape, DType::BF16, Family::gaussian, ++number);
      asked.one_in = one_in;
      SCOPED_TRACE(asked.text());
      const Answer expected = by_backend(asked);
      for (const std::uint64_t strips : {0u, 1u, 2u})
        ASSERT_TRUE(on_device(asked, {strips, false}) == expected) << strips << " strips a piece";
    }
}

TEST(SearchRowsKernel, AmongRowsOfZeros) {
  for (const std::uint64_t columns : {200u, 1000u, 3000u, 20'000u}) {
    Question asked =
        question({"E2M1/row/e8m0", "E3M2/row/e8m0"}, {6, columns}, DType::F32, Family::gaussian, 4);
    for (const std::size_t row : {0u, 2u, 3u})
      for (std::size_t i = 0; i < columns; ++i)
        asked.weights.values[row * columns + i] = i % 2 == 0 ? 0.0f : -0.0f;
    asked.weights = sample::weights_of(DType::F32, asked.weights.values);
    const Answer expected = by_backend(asked);
    ASSERT_EQ(expected.scales[0][2], 0);
    ASSERT_TRUE(on_device(asked) == expected) << columns;
  }
}

// Where errors are 0 under several scales, or the same under both Formats of a pair.
TEST(SearchRowsKernel, TiesGoToTheLargerScaleThenToTheFirstFormat) {
  std::uint64_t number = 0;
  for (const char* const text : {"E1M2+E2M1/row/ue4m3", "E2M1+E1M2/row/ue4m3", "E1M6+E7M0/row/ue4m3",
                                 "E2M5/row/e8m0", "E1M6/row/e8m0"})
    for (const std::uint64_t columns : {160u, 1500u}) {
      Question asked = question({text}, {24, columns}, DType::BF16, Family::special, ++number);
      for (std::size_t i = 0; i < asked.weights.values.size();
           ++i) {  // a value and its multiples, row by row
        const auto step = static_cast<float>(sample::bits(number, i) % (1 + i / columns % 5));
        asked.weights.values[i] = step * (i / columns % 2 == 0 ? 0.375f : 1.0f);
      }
      asked.weights = sample::weights_of(DType::BF16, asked.weights.values);
      asked.candidates = {Tensor{parse_encoding(text), asked.shape, asked.weights}.codec()};
      ASSERT_TRUE(on_device(asked) == by_backend(asked)) << asked.text();
    }
}

TEST(SearchRowsKernel, WritesWhatIsWantedAlone) {
  for (const std::uint64_t columns : {200u, 3000u}) {
    const Question asked = question({"E1M2+E2M1/row/ue4m3"}, {5, columns}, DType::F16, Family::gaussian, 3);
    const Answer all = by_backend(asked), untouched(asked);
    EXPECT_TRUE(on_device(asked, {}, {true, true, true}) == all);
    EXPECT_EQ(on_device(asked, {}, {true, false, true}).scales, all.scales);
    EXPECT_EQ(sum_bits(on_device(asked, {}, {false, true, false}).sums[0]), sum_bits(all.sums[0]));
    EXPECT_EQ(on_device(asked, {}, {false, true, false}).scales, untouched.scales);
  }
}

TEST(SearchRowsKernel, TakesAnEmptyTensor) {
  const Question asked = question({"E2M1/row/e8m0"}, {0, 640}, DType::BF16, Family::gaussian, 1);
  EXPECT_TRUE(on_device(asked) == Answer(asked));
}

}  // namespace
}  // namespace afp
