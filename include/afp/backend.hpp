// Backend: executes the work on whole pieces of tensors. Every backend computes the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>

#include "afp/backend_choice.hpp"
#include "afp/divergence.hpp"
#include "afp/encoding.hpp"
#include "afp/key_table.hpp"
#include "afp/linear_histogram.hpp"
#include "afp/objective.hpp"
#include "afp/piece.hpp"
#include "afp/statistics.hpp"

namespace afp {

// The devices beside the CPU that a backend has worked on.
struct DeviceUse {
  std::string device;             // "NVIDIA H200", "2 x NVIDIA H200"; empty: the CPU alone
  std::uint64_t peak_memory = 0;  // bytes of the device's, the most at a time so far, summed over devices
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;         // "cpu"
  virtual std::string description() const = 0;  // "cpu, 2 threads, AVX3_ZEN4"
  virtual DeviceUse device_use() const { return {}; }

  // How whoever feeds it should cut: bytes of source data in a piece, and how many pieces should be under way
  // at a time when `threads` threads call. Results depend on neither.
  virtual std::uint64_t preferred_piece_bytes() const { return 1 << 20; }
  virtual std::size_t preferred_pieces(int threads) const { return static_cast<std::size_t>(threads) + 2; }

  // Where pieces and results lie best in the host's memory: any will do, this spares a copy. Thread-safe;
  // lives as long as the backend.
  virtual std::pmr::memory_resource& host_memory() const { return *std::pmr::new_delete_resource(); }

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

// What a run ran on, for its results.
struct BackendUse {
  std::string name;                      // "cpu", "cuda"
  std::string device;                    // as DeviceUse has it
  std::uint64_t peak_device_memory = 0;  // likewise
  std::string why_not_cuda;              // where the choice was open and fell on the CPU: one line
};

struct ChosenBackend {
  std::unique_ptr<Backend> backend;
  std::string why_not_cuda;  // as in BackendUse

  BackendUse use() const;  // so far
};

// The backend that the choice means on this machine, on `threads` threads of the CPU. Throws UsageError where
// CUDA is asked for and this build has none, or a device that is not there; DeviceError where there is no
// driver, one that is too old, or no device that the kernels run on.
ChosenBackend make_backend(const BackendChoice& choice, int threads = 0);

// Throws what make_backend would, and starts nothing: for before anything is written.
void check_backend(const BackendChoice& choice);

// What the CUDA backend of this build is compiled for, as "sm_80, sm_90a, PTX 90"; empty without one.
std::string cuda_build();

}  // namespace afp
