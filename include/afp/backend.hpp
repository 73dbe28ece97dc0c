// Backend: executes the work on whole pieces of tensors. Every backend computes the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "afp/divergence.hpp"
#include "afp/encoding.hpp"
#include "afp/key_table.hpp"
#include "afp/linear_histogram.hpp"
#include "afp/objective.hpp"
#include "afp/piece.hpp"
#include "afp/statistics.hpp"

namespace afp {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;         // "cpu"
  virtual std::string description() const = 0;  // "cpu, 2 threads, AVX3_ZEN4"

  virtual Extent extent(const WeightPiece& piece) const = 0;

  // Adds the piece's weights to `statistics` (of the same dtype).
  virtual void accumulate(const WeightPiece& piece, Statistics& statistics) const = 0;

  // What the objectives of tensor blocks need beside Statistics: the number of weights with |w| <= limit
  // (finite, not negative); the piece's weights added to a histogram.
  virtual std::uint64_t count_within(const WeightPiece& piece, float limit) const = 0;
  virtual void accumulate(const WeightPiece& piece, LinearHistogram& histogram) const = 0;

  // And what follows from them, all candidates of a tensor at once. The scale that each candidate's tensor
  // block gets, or nothing: choose_tensor_scale of afp/objective.hpp. The divergence of each rounded
  // distribution from the tensor's: divergence() of afp/divergence.hpp.
  //   scales       one entry a candidate, whose block must be tensor
  //   divergences  one entry a rounded distribution, of one level at least and kMostLevels at most
  virtual void choose_tensor_scales(const KeyTable& keys, std::span<const Encoding> candidates,
                                    std::span<std::optional<TensorScale>> scales) const = 0;
  virtual void compare_shares(const MagnitudeShares& magnitudes, std::span<const LevelShares> rounded,
                              std::span<double> divergences) const = 0;

  // Chooses the scale byte of every block of the piece under each candidate (row and small blocks;
  // all candidates have the grid's block). Non-finite weights must have been refused before.
  //   scales[c]  one byte a block of the piece
  //   sums[c]    one entry a strip of the piece
  virtual void choose_scales(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
                             std::span<const std::span<std::uint8_t>> scales,
                             std::span<const std::span<StripSums>> sums) const = 0;

  // choose_scales for one candidate, and the codes in the same pass.
  virtual void quantize(const WeightPiece& piece, const TensorCodec& codec, Effort effort,
                        std::span<std::uint8_t> scales, std::span<StripSums> sums,
                        std::span<std::uint8_t> codes) const = 0;

  // What each candidate costs the piece's row or small blocks, every block under its best scale: the sums of
  // choose_scales, bit for bit, and nothing else. The candidates have the grid's block; their N, Formats and
  // kinds of scale may differ, and the grid's bits are not looked at. Under ue4m3 each brings the tensor's
  // scale of its own (ue4m3_tensor_scale). With sample > 1 the sums are those over the blocks that
  // BlockSample(grid, sample) takes (about one in so many; its weights() says how many weights that is).
  // Throws UsageError for tensor blocks and for a sample of 0.
  //   sums[c]    one entry a strip of the piece
  virtual void block_costs(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
                           std::uint32_t sample, std::span<const std::span<StripSums>> sums) const = 0;

  // The squared error under given scales, weighted by column: the sum over a strip's weights w, each
  // dequantized to q, of importance[column of w] * (w - q)^2, in double precision. Within a cell four running
  // sums take the weights j = 0, 1, 2, 3 mod 4 and are added as (0 + 1) + (2 + 3); the cells of a strip are
  // added as block_grid.hpp says of small blocks, whatever the block.
  //   scales      as encode takes them
  //   importance  one number, finite and not negative, a column of the grid
  //   errors      one entry a strip of the piece
  virtual void weighted_errors(const WeightPiece& piece, const TensorCodec& codec,
                               std::span<const std::uint8_t> scales, std::span<const float> importance,
                               std::span<double> errors) const = 0;

  // Scores scale bytes (the Format's bit included) for a tensor block: one entry a strip and byte,
  // scores[strip * bytes.size() + b].
  virtual void score_scales(const WeightPiece& piece, const TensorCodec& codec, const LongBlock& block,
                            std::span<const std::uint8_t> bytes, std::span<ScaleScore> scores) const = 0;

  // The codes under given scales; scales holds the bytes of the piece's blocks (for a tensor block
  // its one byte).
  virtual void encode(const WeightPiece& piece, const TensorCodec& codec,
                      std::span<const std::uint8_t> scales, std::span<std::uint8_t> codes) const = 0;

  // Codes and scales of the cells, any range of them, to weights of `dtype` (BF16, F16 or F32, rounded to
  // nearest even, saturating at the largest finite value), row by row without gaps.
  virtual void dequantize(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                          std::span<const std::uint8_t> scales, std::span<const std::uint8_t> codes,
                          DType dtype, std::span<std::byte> weights) const = 0;
};

// The CPU backend on `threads` threads (0: as many as the machine has).
std::unique_ptr<Backend> make_cpu_backend(int threads = 0);

}  // namespace afp
