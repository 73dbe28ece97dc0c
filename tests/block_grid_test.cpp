// BlockGrid: blocks, cells, weights, codes and scales of every kind of block, on any shape.
#include "afp/block_grid.hpp"

#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "afp/format.hpp"
#include "expect_error.hpp"

namespace afp {
namespace {

const Block kBlocks[] = {{BlockKind::tensor, 0}, {BlockKind::row, 0},    {BlockKind::small, 16},
                         {BlockKind::small, 32}, {BlockKind::small, 64}, {BlockKind::small, 128}};

std::uint64_t up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Walks the cells in order: they must cover weights and code bytes without gap or overlap.
void expect_consistent(const BlockGrid& grid, std::uint64_t rows, std::uint64_t columns) {
  EXPECT_EQ(grid.rows, rows);
  EXPECT_EQ(grid.columns, columns);
  EXPECT_EQ(grid.weights(), rows * columns);
  const bool small = grid.block.kind == BlockKind::small;
  const std::uint64_t size = small ? static_cast<std::uint64_t>(grid.block.size) : 128;
  const std::uint64_t row_codes = columns == 0 ? 0 : small ? up(columns, size) : up(columns, 32);
  EXPECT_EQ(grid.row_bytes * 8, row_codes * static_cast<std::uint64_t>(grid.bits));
  EXPECT_EQ(grid.block_bytes * 8, (small ? size : row_codes) * static_cast<std::uint64_t>(grid.bits));
  EXPECT_EQ(grid.code_bytes(), grid.row_bytes * rows);
  std::uint64_t cell = 0, weight = 0, scale = 0;
  for (std::uint64_t row = 0; row < rows; ++row) {
    for (std::uint64_t column = 0; column < columns; column += size, ++cell) {
      ASSERT_LT(cell, grid.cells());
      ASSERT_EQ(grid.weight_begin(cell), weight);
      ASSERT_EQ(grid.cell_weights(cell), static_cast<int>(std::min(size, columns - column)));
      ASSERT_EQ(grid.code_begin(cell) * 8,
                (row * row_codes + column) * static_cast<std::uint64_t>(grid.bits));
      ASSERT_EQ(grid.scale_index(cell), small ? cell : grid.block.kind == BlockKind::row ? row : 0);
      weight += static_cast<std::uint64_t>(grid.cell_weights(cell));
      if (small) ++scale;
    }
    if (grid.block.kind == BlockKind::row && columns > 0) ++scale;
  }
  if (grid.block.kind == BlockKind::tensor && weight > 0) scale = 1;
  EXPECT_EQ(cell, grid.cells());
  EXPECT_EQ(weight, grid.weights());
  EXPECT_EQ(scale, grid.scale_count());
  if (cell > 0) {
    EXPECT_EQ(grid.weight_begin(cell), grid.weights());
    EXPECT_EQ(grid.code_begin(cell), grid.code_bytes());
  }
}

TEST(BlockGrid, CoversEveryShapeExactly) {
  for (const Block block : kBlocks)
    for (int bits = kMinBits; bits <= kMaxBits; ++bits)
      for (const std::uint64_t rows : {0, 1, 2, 3, 7})
        for (const std::uint64_t columns : {0,  1,  2,  7,  15,  16,  17,  31,  32,  33,  47,  63,  64,
                                            65, 95, 96, 97, 127, 128, 129, 255, 256, 257, 300, 511, 513}) {
          SCOPED_TRACE(to_string(block) + " " + std::to_string(bits) + " bits, " + std::to_string(rows) +
                       " x " + std::to_string(columns));
          expect_consistent(BlockGrid(block, bits, {rows, columns}), rows, rows == 0 ? 0 : columns);
          if (HasFatalFailure()) return;
        }
}

TEST(BlockGrid, RowsAreTheFirstDimension) {
  for (const Block block : kBlocks) {
    SCOPED_TRACE(to_string(block));
    expect_consistent(BlockGrid(block, 4, {}), 1, 1);
    expect_consistent(BlockGrid(block, 4, {37}), 1, 37);
    expect_consistent(BlockGrid(block, 4, {5, 37}), 5, 37);
    expect_consistent(BlockGrid(block, 4, {5, 3, 7}), 5, 21);
    expect_consistent(BlockGrid(block, 4, {5, 3, 7, 7}), 5, 147);
    expect_consistent(BlockGrid(block, 4, {0}), 1, 0);
    expect_consistent(BlockGrid(block, 4, {5, 0, 7}), 5, 0);
    expect_consistent(BlockGrid(block, 4, {0, 3, 7}), 0, 0);
  }
}

TEST(BlockGrid, CountsBeyond32Bits) {
  const std::uint64_t rows = 100'000, columns = 99'999;  // about 10^10 weights
  const BlockGrid small({BlockKind::small, 32}, 3, {rows, columns});
  EXPECT_EQ(small.weights(), 9'999'900'000u);
  EXPECT_EQ(small.cells_per_row, 3125u);
  EXPECT_EQ(small.scale_count(), 312'500'000u);
  EXPECT_EQ(small.code_bytes(), 312'500'000u * 12);
  EXPECT_EQ(small.weight_begin(small.cells()), small.weights());
  EXPECT_EQ(small.weight_begin(small.cells() - 1), small.weights() - 31);
  EXPECT_EQ(small.code_begin(small.cells()), small.code_bytes());

  const BlockGrid row({BlockKind::row, 0}, 7, {2, std::uint64_t{5} << 32});
  EXPECT_EQ(row.scale_count(), 2u);
  EXPECT_EQ(row.code_bytes(), (std::uint64_t{10} << 32) / 8 * 7);
  EXPECT_EQ(row.weight_begin(row.cells_per_row), std::uint64_t{5} << 32);
  EXPECT_EQ(row.code_begin(row.cells_per_row), row.row_bytes);
  EXPECT_EQ(row.scale_index(row.cells_per_row), 1u);

  const BlockGrid tensor({BlockKind::tensor, 0}, 8, {std::uint64_t{1} << 20, std::uint64_t{1} << 20});
  EXPECT_EQ(tensor.scale_count(), 1u);
  EXPECT_EQ(tensor.code_bytes(), std::uint64_t{1} << 40);
}

TEST(BlockGrid, ThrowsWhereASizeDoesNotFit) {
  const std::uint64_t k32 = std::uint64_t{1} << 32;
  expect_error<InputError>(
      [&] {
        BlockGrid({BlockKind::small, 16}, 4, {k32, k32});
      },
      "shape [4294967296, 4294967296] has more elements than 64 bits can count");
  // The weights can be counted, the codes of their filled-up blocks cannot.
  expect_error<InputError>(
      [&] {
        BlockGrid({BlockKind::small, 128}, 8, {k32 << 29, 1});
      },
      "a size does not fit in 64 bits");
  expect_error<InputError>(
      [&] {
        BlockGrid({BlockKind::row, 0}, 8, {k32 << 29, 1});
      },
      "a size does not fit in 64 bits");
  EXPECT_NO_THROW(BlockGrid({BlockKind::small, 128}, 8, {k32 << 24, 1}));
}

TEST(Strips, HoldAbout65536WeightsAndWholeRows) {
  for (const Block block : kBlocks)
    for (const std::uint64_t columns : {1u, 100u, 128u, 129u, 1000u, 65535u, 65536u, 65537u, 200'000u}) {
      SCOPED_TRACE(to_string(block) + " " + std::to_string(columns));
      const BlockGrid grid(block, 4, {1000, columns});
      const std::uint64_t cells = cells_per_strip(grid);
      ASSERT_GE(cells, 1u);
      if (block.kind == BlockKind::row) {
        EXPECT_EQ(cells % grid.cells_per_row, 0u);
        EXPECT_TRUE(cells == grid.cells_per_row || cells * 128 <= kStripWeights);
      } else {
        EXPECT_EQ(cells * static_cast<std::uint64_t>(grid.cell_size), kStripWeights);
      }
      for (const std::uint64_t count :
           {std::uint64_t{0}, std::uint64_t{1}, cells - 1, cells, cells + 1, 7 * cells})
        EXPECT_EQ(strip_count(grid, {3, count}), (count + cells - 1) / cells);
    }
}

}  // namespace
}  // namespace afp
