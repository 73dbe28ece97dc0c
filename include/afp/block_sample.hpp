// BlockSample: which blocks a cost pass that is content with a sample looks at. The choice depends on the
// shape of the tensor alone, so that every backend, number of threads and cutting into pieces takes the same.
//
// Blocks are taken in units: 16 consecutive blocks of one cell each (small blocks, and rows of at most 128
// weights), else one row. Units are numbered in the order of the tensor; of every `one_in` consecutive ones,
// one is taken, a different one from group to group: a fixed stride would see some columns only.
#pragma once

#include <cstdint>

#include "afp/block_grid.hpp"
#include "afp/hd.hpp"

namespace afp {

inline constexpr std::uint64_t kSampleCells = 16;  // in a unit of blocks of one cell

// The unit taken of group `group`, that is of units [group * one_in, (group + 1) * one_in). It may lie past
// the last unit, then none is taken; but of the first group always one is.
AFP_HD constexpr std::uint64_t sampled_unit(std::uint64_t group, std::uint64_t one_in, std::uint64_t units) {
  const std::uint64_t choices = group == 0 && units != 0 && units < one_in ? units : one_in;
  std::uint64_t x = (group + 1) * 0x9E3779B97F4A7C15u;  // the finalizer of splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return group * one_in + (x ^ (x >> 31)) % choices;
}

class BlockSample {
 public:
  // Of row or small blocks; one_in = 1 takes them all. Throws UsageError for one_in = 0 and for tensor
  // blocks.
  BlockSample(const BlockGrid& grid, std::uint32_t one_in);

  // Calls body(CellRange) for each taken unit that begins within `cells`, in order. `cells` begins and ends
  // at strips, or at the tensor's end, as the ranges of a WeightPiece do.
  template <class Body>
  void for_each_unit(CellRange cells, const Body& body) const {
    if (cells.count == 0) return;
    const std::uint64_t first = cells.first / cells_per_unit_;
    const std::uint64_t end = ceil_div(cells.first + cells.count, cells_per_unit_);
    for (std::uint64_t group = first / one_in_; group * one_in_ < end; ++group) {
      const std::uint64_t unit = sampled_unit(group, one_in_, units_);
      if (unit < first || unit >= end) continue;
      const std::uint64_t begin = unit * cells_per_unit_;
      body(CellRange{begin, std::min(cells_per_unit_, cells.first + cells.count - begin)});
    }
  }

  // Weights of the taken units among `cells`: what the sums over a piece are sums over.
  std::uint64_t weights(const BlockGrid& grid, CellRange cells) const;

 private:
  std::uint64_t one_in_;
  std::uint64_t cells_per_unit_;
  std::uint64_t units_;
};

}  // namespace afp
