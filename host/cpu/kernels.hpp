// The CPU backend's inner functions. Each picks, at run time, the form compiled for the best SIMD
// instructions of the machine; all forms give the same bits. They work in the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/block_sample.hpp"

namespace afp::cpu {

std::string simd_target();  // "AVX3_ZEN4"

Extent weights_extent(const std::byte* weights, DType dtype, std::uint64_t count);

// Statistics::add, and of F32 weights faster.
void add_weights(const std::byte* weights, std::uint64_t count, Statistics& statistics);

// Weights with |w| <= limit.
std::uint64_t count_within(const std::byte* weights, DType dtype, std::uint64_t count, float limit);

// How many of the weights fall into each bin of the histogram, which itself stays as it is.
std::vector<std::uint64_t> histogram_counts(const std::byte* weights, DType dtype, std::uint64_t count,
                                            const LinearHistogram& histogram);

KeyErrors score_keys(const KeyTable& keys, Format format, float scale);
void compare_shares(const MagnitudeShares& magnitudes, std::span<const LevelShares> rounded,
                    std::span<double> divergences);

// Where the results for one candidate go.
struct CellResults {
  std::uint8_t* scales = nullptr;  // one byte a cell
  StripSums* sums = nullptr;
  std::uint8_t* codes = nullptr;  // of the first cell onward, as BlockGrid lays them out; null: not wanted
};

// A strip of cells each of which is a block of its own (small blocks, and rows of one cell): chooses the
// scale under every candidate, and encodes where codes are wanted.
void search_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                  Effort effort, std::span<const CellResults> results);

// What each candidate costs the taken cells of such a strip: the sums of search_cells.
void cost_cells(const WeightPiece& piece, CellRange cells, std::span<const TensorCodec> candidates,
                Effort effort, const BlockSample& sample, std::span<StripSums* const> sums);

// The squared error of a strip under given scales, weighted by column; `scales` as for encode_cells.
double weighted_error(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                      const std::uint8_t* scales, std::span<const float> importance);

// The codes of the cells under given scales; `scales` points at the byte of the first cell's block.
void encode_cells(const WeightPiece& piece, CellRange cells, const TensorCodec& codec,
                  const std::uint8_t* scales, std::uint8_t* codes);

// A scale to score over a strip of a long block, in normalized units.
struct SegmentScale {
  Format format;
  float scale;                 // (1 + i/8) 2^x, a normal number
  bool clips;                  // may be false where no weight exceeds scale * max_value
  std::optional<float> limit;  // also wanted: the squared error of clipping what exceeds this
};

// A strip of segments of one long block, their magnitudes multiplied by `normalizer`: for every scale the sum
// of squared errors, and the sum over what exceeds its limit.
void score_segments(const WeightPiece& piece, CellRange cells, float normalizer,
                    std::span<const SegmentScale> scales, std::span<ScaleScore> scores);

// Sum of the squares of the normalized weights of these segments.
double segments_signal(const WeightPiece& piece, CellRange cells, float normalizer);

// Weights of the cells, `scales` and `codes` as for encode_cells.
void dequantize_cells(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                      const std::uint8_t* scales, const std::uint8_t* codes, std::size_t code_bytes,
                      DType dtype, std::byte* weights);

}  // namespace afp::cpu
