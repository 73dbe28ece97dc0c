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

// The same for 32-bit numbers.
struct Divider32 {
  std::uint32_t divisor, inverse;

  static Divider32 of(std::uint32_t divisor) {
    const std::uint64_t inverse = divisor == 0 ? 0 : (std::uint64_t{1} << 32) / divisor;
    return {divisor, static_cast<std::uint32_t>(inverse < 0xFFFFFFFFu ? inverse : 0xFFFFFFFFu)};
  }
  __device__ std::uint32_t divide(std::uint32_t n) const {
    const std::uint32_t quotient = __umulhi(n, inverse);
    return quotient + (n - quotient * divisor >= divisor);
  }
};

// A flat range is cut into tiles, one a warp at a time.
inline constexpr int kWarpCodes = 1024;

struct CodeSpace {
  std::uint64_t columns;     // weights of a row
  std::uint64_t row_codes;   // codes of a row, those that fill it up included
  std::uint64_t first_code;  // of the range's first cell, within its row
  std::uint64_t weights;     // of the range
  std::uint64_t codes;       // of the range
  Divider by_row;            // row_codes
  Divider by_column;         // columns
  Divider32 tiles_per_row;   // of a range that begins with its row; 0 where they do not end with the rows
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
    if (space.first_code == 0 && space.row_codes % kWarpCodes == 0)
      space.tiles_per_row = Divider32::of(static_cast<std::uint32_t>(space.row_codes / kWarpCodes));
    space.is_flat = space.row_codes == grid.columns || space.first_code + space.codes <= space.row_codes;
    return space;
  }

  // Index of the scale byte of code `i` of the range, which lies in row `row` of the range's.
  __device__ std::uint64_t scale_index(std::uint64_t i, std::uint64_t row) const {
    return kind == BlockKind::small ? i >> scale_shift : kind == BlockKind::row ? row : 0;
  }
};

// Runs over codes of a range from left to right.
class CodeCursor {
 public:
  __device__ CodeCursor(const CodeSpace& space, std::uint64_t code) : code_(code) {
    row_ = space.by_row.divide(space.first_code + code, column_);
  }
  __device__ void advance(const CodeSpace& space, int codes) {
    code_ += codes;
    column_ += codes;
    while (column_ >= space.row_codes) {
      column_ -= space.row_codes;
      ++row_;
    }
  }
  __device__ std::uint64_t row() const { return row_; }
  __device__ std::uint64_t scale_index(const CodeSpace& space) const {
    return space.scale_index(code_, row_);
  }
  // The weight of this code, in the range; and how many there are of this code and those behind it, up to
  // `most` and to the end of the row.
  __device__ std::uint64_t weight(const CodeSpace& space) const {
    return row_ * space.columns + column_ - space.first_code;
  }
  __device__ int weights_left(const CodeSpace& space, int most) const {
    if (code_ >= space.codes || column_ >= space.columns) return 0;
    const std::uint64_t left = space.columns - column_;
    return left < static_cast<std::uint64_t>(most) ? static_cast<int>(left) : most;
  }

 private:
  std::uint64_t code_, row_, column_;
};

// The scale bytes of the codes `offset`, offset + kStride, ... of a tile of a flat range: kSteps of them.
template <int kSteps, int kStride>
__device__ void load_scale_bytes(const CodeSpace& space, const std::uint8_t* scales, std::uint32_t tile,
                                 std::uint32_t offset, std::uint32_t (&bytes)[kSteps]) {
  const std::uint64_t first = std::uint64_t{tile} * kWarpCodes + offset;
  if (space.kind == BlockKind::small) {
    const std::uint8_t* const from = scales + (first >> space.scale_shift);
    const int step = kStride >> space.scale_shift;  // whole blocks: they have 128 weights at most
#pragma unroll
    for (int k = 0; k < kSteps; ++k) bytes[k] = from[k * step];
  } else if (space.kind == BlockKind::row && space.tiles_per_row.divisor == 0) {
    CodeCursor cursor(space, first);
#pragma unroll
    for (int k = 0; k < kSteps; ++k, cursor.advance(space, kStride)) bytes[k] = scales[cursor.row()];
  } else {
    const std::uint32_t byte = scales[space.kind == BlockKind::row ? space.tiles_per_row.divide(tile) : 0];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) bytes[k] = byte;
  }
}

}  // namespace afp::kernels
