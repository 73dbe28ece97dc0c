// Which blocks a sample takes: about one in so many, whatever the pieces, and never none.
#include "afp/block_sample.hpp"

#include <gtest/gtest.h>

#include <set>

#include "expect_error.hpp"

namespace afp {
namespace {

BlockGrid grid_of(const char* block, const Shape& shape) {
  return BlockGrid(parse_encoding(std::string("E2M1/") + block + "/e8m0").block, 4, shape);
}

std::set<std::uint64_t> cells_of(const BlockSample& sample, CellRange cells) {
  std::set<std::uint64_t> taken;
  sample.for_each_unit(cells, [&](CellRange unit) {
    for (std::uint64_t i = 0; i < unit.count; ++i) EXPECT_TRUE(taken.insert(unit.first + i).second);
  });
  return taken;
}

const std::pair<const char*, Shape> kTensors[] = {
    {"16", {37, 5001}},  {"32", {64, 4096}},   {"64", {3, 70'001}},  {"128", {1, 200'000}},
    {"row", {701, 301}}, {"row", {3, 70'000}}, {"row", {5000, 100}}, {"32", {1}},
    {"row", {1, 5}},     {"16", {7, 3, 11}}};

TEST(BlockSample, OfOneTakesEveryCell) {
  for (const auto& [block, shape] : kTensors) {
    const BlockGrid grid = grid_of(block, shape);
    const CellRange all{0, grid.cells()};
    EXPECT_EQ(cells_of(BlockSample(grid, 1), all).size(), grid.cells());
    EXPECT_EQ(BlockSample(grid, 1).weights(grid, all), grid.weights());
  }
}

TEST(BlockSample, TakesWholeUnitsOneOfEachGroup) {
  for (const auto& [block, shape] : kTensors)
    for (const std::uint32_t one_in : {2u, 3u, 16u, 1000u}) {
      SCOPED_TRACE(std::string(block) + " " + to_string(shape) + " 1/" + std::to_string(one_in));
      const BlockGrid grid = grid_of(block, shape);
      const bool rows = grid.block.kind == BlockKind::row && shape.back() > 128;
      const std::uint64_t per_unit = rows ? grid.cells_per_row : 16;
      const std::set<std::uint64_t> cells = cells_of(BlockSample(grid, one_in), {0, grid.cells()});
      ASSERT_FALSE(cells.empty());
      std::set<std::uint64_t> units, groups;
      std::uint64_t weights = 0;
      for (const std::uint64_t cell : cells) {
        ASSERT_LT(cell, grid.cells());
        units.insert(cell / per_unit);
        weights += static_cast<std::uint64_t>(grid.cell_weights(cell));
      }
      for (const std::uint64_t unit : units) {
        EXPECT_TRUE(groups.insert(unit / one_in).second) << "two units of one group";
        for (std::uint64_t cell = unit * per_unit; cell < std::min(grid.cells(), (unit + 1) * per_unit);
             ++cell)
          ASSERT_TRUE(cells.contains(cell));
      }
      EXPECT_EQ(BlockSample(grid, one_in).weights(grid, {0, grid.cells()}), weights);
      // Whole groups all have one; the last one may end before its turn.
      EXPECT_GE(groups.size(), std::max<std::uint64_t>(1, grid.cells() / per_unit / one_in));
    }
}

TEST(BlockSample, TakesTheSameWhateverThePieces) {
  for (const auto& [block, shape] : kTensors)
    for (const std::uint32_t one_in : {1u, 3u, 16u, 300u}) {
      const BlockGrid grid = grid_of(block, shape);
      const BlockSample sample(grid, one_in);
      for (std::uint64_t strips = 1; strips < 4; ++strips) {
        std::set<std::uint64_t> taken;
        std::uint64_t weights = 0;
        const std::uint64_t step = strips * cells_per_strip(grid);
        for (std::uint64_t first = 0; first < grid.cells(); first += step) {
          const CellRange piece{first, std::min(step, grid.cells() - first)};
          for (const std::uint64_t cell : cells_of(sample, piece)) {
            EXPECT_GE(cell, piece.first);
            EXPECT_LT(cell, piece.first + piece.count);
            EXPECT_TRUE(taken.insert(cell).second);
          }
          weights += sample.weights(grid, piece);
        }
        EXPECT_EQ(taken, cells_of(sample, {0, grid.cells()}));
        EXPECT_EQ(weights, sample.weights(grid, {0, grid.cells()}));
      }
    }
}

TEST(BlockSample, SeesAllColumns) {
  // 4096 columns are 8 units of 16 blocks of 32: a stride of 16 would see the first unit alone.
  const BlockGrid grid = grid_of("32", {1024, 4096});
  std::map<std::uint64_t, int> units_at;
  for (const std::uint64_t cell : cells_of(BlockSample(grid, 16), {0, grid.cells()}))
    if (cell % 16 == 0) ++units_at[cell / 16 % 8];
  ASSERT_EQ(units_at.size(), 8u);
  for (const auto& [place, count] : units_at) EXPECT_NEAR(count, 64, 32) << place;
}

TEST(BlockSample, OfNothingTakesNothing) {
  for (const Shape& shape : {Shape{0}, Shape{0, 7}, Shape{7, 0}})
    for (const char* const block : {"16", "row"}) {
      const BlockGrid grid = grid_of(block, shape);
      for (const std::uint32_t one_in : {1u, 16u}) {
        EXPECT_TRUE(cells_of(BlockSample(grid, one_in), {0, grid.cells()}).empty());
        EXPECT_EQ(BlockSample(grid, one_in).weights(grid, {0, grid.cells()}), 0u);
      }
    }
}

TEST(BlockSample, RefusesNothingInAndTensorBlocks) {
  expect_error<UsageError>(
      [] {
        BlockSample(grid_of("16", {3, 5}), 0);
      },
      "a sample takes one block in so many, found 0; expected 1 or more");
  expect_error<UsageError>(
      [] {
        BlockSample(grid_of("tensor", {3, 5}), 2);
      },
      "a tensor block is one block; expected row or small blocks to take a sample of");
}

}  // namespace
}  // namespace afp
