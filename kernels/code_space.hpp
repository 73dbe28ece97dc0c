// CodeSpace: where codes, weights and scales of a range of cells lie, counted in codes. Code i of the range
// is bits [i * N, (i + 1) * N) of its code bytes: rows and small blocks that are filled up are so with codes,
// whose weights do not exist.
#pragma once

#include "afp/block_grid.hpp"
#include "kernels/device.hpp"

namespace afp::kernels {

// Quotients of 64-bit numbers without a division: the estimate from the upper half of a product is exact or
// one too small.
struct Divider {
  std::uint64_t divisor;
  std::uint64_t inverse;  // 2^64 / divisor, rounded down; for 1: the largest there is

  static Divider of(std::uint64_t divisor) {
    return {divisor, divisor <= 1
                         ? ~std::uint64_t{0}
                         : ~std::uint64_t{0} / divisor + (~std::uint64_t{0} % divisor + 1 == divisor)};
  }
  // `rest` is left of `n` < 2^63.
  __device__ std::uint64_t divide(std::uint64_t n, std::uint64_t& rest) const {
    std::uint64_t quotient = __umul64hi(n, inverse);
    rest = n - quotient * divisor;
    if (rest >= divisor) {
      rest -= divisor;
      ++quotient;
    }
    return quotient;
  }
};

struct CodeSpace {
  std::uint64_t columns;     // weights of a row
  std::uint64_t row_codes;   // codes of a row, those that fill it up included
  std::uint64_t first_code;  // of the range's first cell, within its row
  std::uint64_t weights;     // of the range
  std::uint64_t codes;       // of the range
  Divider by_row;            // row_codes
  Divider by_column;         // columns
  std::int32_t scale_shift;  // small blocks: the logarithm of their size
  BlockKind kind;
  bool is_flat;  // weight i has code i: no row is filled up, but for the last

  static CodeSpace of(const BlockGrid& grid, CellRange cells) {
    CodeSpace space{};
    space.kind = grid.block.kind;
    space.columns = grid.columns;
    while (space.kind == BlockKind::small && 1 << space.scale_shift < grid.cell_size) ++space.scale_shift;
    if (cells.count == 0) return space;
    const std::uint64_t end = cells.first + cells.count, bits = static_cast<std::uint64_t>(grid.bits);
    space.row_codes = grid.row_bytes / bits * 8;  // a multiple of 16
    space.by_row = Divider::of(space.row_codes);
    space.by_column = Divider::of(space.columns);
    space.first_code = cells.first % grid.cells_per_row * static_cast<std::uint64_t>(grid.cell_size);
    space.weights = grid.weight_begin(end) - grid.weight_begin(cells.first);
    space.codes = (grid.code_begin(end) - grid.code_begin(cells.first)) / bits * 8;
    space.is_flat = space.row_codes == grid.columns || space.first_code + space.codes <= space.row_codes;
    return space;
  }

  // Index of the scale byte of code `i` of the range, which lies in row `row` of the range's.
  __device__ std::uint64_t scale_index(std::uint64_t i, std::uint64_t row) const {
    return kind == BlockKind::small ? i >> scale_shift : kind == BlockKind::row ? row : 0;
  }
};

}  // namespace afp::kernels
