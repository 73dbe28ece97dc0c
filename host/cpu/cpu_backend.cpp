// The CPU backend: oneTBB over the strips of a piece, one inner function a strip.
#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "afp/backend.hpp"
#include "afp/codec.hpp"
#include "afp/error.hpp"
#include "afp/tensor_scale_scan.hpp"
#include "host/cpu/kernels.hpp"
#include "host/cpu/row_search.hpp"

namespace afp {
namespace {

using cpu::CellResults;

// A strip of a piece: its cells, its index within the piece.
struct Strip {
  CellRange cells;
  std::size_t index;
};

std::uint64_t weights_of(const WeightPiece& piece) {
  return piece.cells.count == 0 ? 0
                                : piece.grid.weight_begin(piece.cells.first + piece.cells.count) -
                                      piece.grid.weight_begin(piece.cells.first);
}

std::size_t bytes_per_weight(DType dtype) {
  return static_cast<std::size_t>(dtype_bits(dtype)) / 8;
}

void require_float_weights(DType dtype) {
  if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
    throw UsageError("a backend takes BF16, F16 or F32 weights, found " + std::string(dtype_name(dtype)));
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads)
      : threads_(threads > 0 ? threads : tbb::info::default_concurrency()), arena_(threads_) {
    // Without leave to run more threads than the machine has, oneTBB warns on stderr and ignores the wish.
    if (threads_ > tbb::info::default_concurrency())
      leave_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads_));
  }

  std::string name() const override { return "cpu"; }
  std::string description() const override {
    return "cpu, " + std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") +
           cpu::simd_target();
  }

  Extent extent(const WeightPiece& piece) const override {
    require_float_weights(piece.dtype);
    Extent total;
    std::mutex mutex;
    for_each_weight_range(piece, [&](const std::byte* weights, std::uint64_t count) {
      const Extent part = cpu::weights_extent(weights, piece.dtype, count);
      const std::lock_guard lock(mutex);
      total.merge(part);
    });
    return total;
  }

  void accumulate(const WeightPiece& piece, Statistics& statistics) const override {
    require_float_weights(piece.dtype);
    if (is_one_range(piece)) return cpu::add_weights(piece.weights, weights_of(piece), statistics);
    tbb::enumerable_thread_specific<Statistics> parts([&] { return Statistics(piece.dtype); });
    for_each_weight_range(piece, [&](const std::byte* weights, std::uint64_t count) {
      cpu::add_weights(weights, count, parts.local());
    });
    for (Statistics& part : parts) statistics.merge(std::move(part));
  }

  std::uint64_t count_within(const WeightPiece& piece, float limit) const override {
    require_float_weights(piece.dtype);
    std::atomic<std::uint64_t> total = 0;
    for_each_weight_range(piece, [&](const std::byte* weights, std::uint64_t count) {
      total += cpu::count_within(weights, piece.dtype, count, limit);
    });
    return total;
  }

  void accumulate(const WeightPiece& piece, LinearHistogram& histogram) const override {
    require_float_weights(piece.dtype);
    std::mutex mutex;
    for_each_weight_range(piece, [&](const std::byte* weights, std::uint64_t count) {
      const std::vector<std::uint64_t> counts = cpu::histogram_counts(weights, piece.dtype, count, histogram);
      const std::lock_guard lock(mutex);
      histogram.add_counts(counts);
    });
  }

  void choose_tensor_scales(const KeyTable& keys, std::span<const Encoding> candidates,
                            std::span<std::optional<TensorScale>> scales) const override {
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      scales[c].reset();
      if (keys.absmax != 0.0f && !keys_decide(keys.dtype, candidates[c].scale)) continue;
      TensorScaleScan scan(tensor_block_codec(block_codec({candidates[c]}), keys.absmax), keys.absmax);
      while (scan.left() > 0) scan.take(cpu::score_keys(keys, scan.format(), scan.value()));
      scales[c] = scan.best();
    }
  }

  void compare_shares(const MagnitudeShares& magnitudes, std::span<const LevelShares> rounded,
                      std::span<double> divergences) const override {
    cpu::compare_shares(magnitudes, rounded, divergences);
  }

  void choose_scales(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
                     std::span<const std::span<std::uint8_t>> scales,
                     std::span<const std::span<StripSums>> sums) const override {
    search(piece, candidates, effort, scales, sums, {});
  }

  void quantize(const WeightPiece& piece, const TensorCodec& codec, Effort effort,
                std::span<std::uint8_t> scales, std::span<StripSums> sums,
                std::span<std::uint8_t> codes) const override {
    search(piece, {&codec, 1}, effort, {&scales, 1}, {&sums, 1}, codes);
  }

  void block_costs(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
                   std::uint32_t sample, std::span<const std::span<StripSums>> sums) const override {
    require_float_weights(piece.dtype);
    const BlockSample taken(piece.grid, sample);
    for_each_strip(piece, [&](const Strip& strip) {
      std::vector<StripSums*> results(candidates.size());
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        results[c] = &sums[c][strip.index];
        *results[c] = {};
      }
      if (blocks_are_cells(piece.grid))
        cpu::cost_cells(piece, strip.cells, candidates, effort, taken, results);
      else
        taken.for_each_unit(strip.cells,
                            [&](CellRange row) { cpu::search_row(piece, row, candidates, {}, results); });
    });
  }

  void weighted_errors(const WeightPiece& piece, const TensorCodec& codec,
                       std::span<const std::uint8_t> scales, std::span<const float> importance,
                       std::span<double> errors) const override {
    require_float_weights(piece.dtype);
    for_each_strip(piece, [&](const Strip& strip) {
      errors[strip.index] = cpu::weighted_error(piece, strip.cells, codec,
                                                scales.data() + scale_offset(piece, strip), importance);
    });
  }

  void score_scales(const WeightPiece& piece, const TensorCodec& codec, const LongBlock& block,
                    std::span<const std::uint8_t> bytes, std::span<ScaleScore> scores) const override {
    require_float_weights(piece.dtype);
    std::vector<cpu::SegmentScale> scales;
    for (const std::uint8_t byte : bytes) {
      const Format format = codec.encoding.format_of(byte);
      const float scale = block.normalized_scale(codec, byte);
      scales.push_back({format, scale, true, scale * format.max_value()});
    }
    const float normalizer = exp2_int(-block.exponent);
    for_each_strip(piece, [&](const Strip& strip) {
      cpu::score_segments(piece, strip.cells, normalizer, scales,
                          scores.subspan(strip.index * bytes.size(), bytes.size()));
    });
  }

  void encode(const WeightPiece& piece, const TensorCodec& codec, std::span<const std::uint8_t> scales,
              std::span<std::uint8_t> codes) const override {
    require_float_weights(piece.dtype);
    for_each_strip(piece, [&](const Strip& strip) {
      cpu::encode_cells(piece, strip.cells, codec, scales.data() + scale_offset(piece, strip),
                        codes.data() + code_offset(piece, strip));
    });
  }

  void dequantize(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                  std::span<const std::uint8_t> scales, std::span<const std::uint8_t> codes, DType dtype,
                  std::span<std::byte> weights) const override {
    require_float_weights(dtype);
    const WeightPiece piece{grid, cells, dtype, weights.data()};
    for_each_strip(piece, [&](const Strip& strip) {
      const std::uint64_t offset = grid.weight_begin(strip.cells.first) - grid.weight_begin(cells.first);
      const std::size_t code_begin = code_offset(piece, strip);
      cpu::dequantize_cells(grid, strip.cells, codec, scales.data() + scale_offset(piece, strip),
                            codes.data() + code_begin, codes.size() - code_begin, dtype,
                            weights.data() + offset * bytes_per_weight(dtype));
    });
  }

 private:
  template <class Body>
  void for_each_strip(const WeightPiece& piece, const Body& body) const {
    const std::uint64_t per_strip = cells_per_strip(piece.grid);
    arena_.execute([&] {
      tbb::parallel_for(
          std::size_t{0}, static_cast<std::size_t>(strip_count(piece.grid, piece.cells)), [&](std::size_t s) {
            const std::uint64_t first = s * per_strip;
            body(Strip{{piece.cells.first + first, std::min(per_strip, piece.cells.count - first)}, s});
          });
    });
  }

  static constexpr std::uint64_t kGrain = 4 * kStripWeights;
  static bool is_one_range(const WeightPiece& piece) { return weights_of(piece) <= kGrain; }

  // Where the order of weights does not matter: ranges of a size that suits the caches. A single one is
  // done by the caller.
  template <class Body>
  void for_each_weight_range(const WeightPiece& piece, const Body& body) const {
    const std::uint64_t count = weights_of(piece);
    if (is_one_range(piece)) {
      if (count != 0) body(piece.weights, count);
      return;
    }
    arena_.execute([&] {
      tbb::parallel_for(std::uint64_t{0}, ceil_div(count, kGrain), [&](std::uint64_t i) {
        body(piece.weights + i * kGrain * bytes_per_weight(piece.dtype),
             std::min(kGrain, count - i * kGrain));
      });
    });
  }

  static std::size_t scale_offset(const WeightPiece& piece, const Strip& strip) {
    return piece.grid.scale_index(strip.cells.first) - piece.grid.scale_index(piece.cells.first);
  }
  static std::size_t code_offset(const WeightPiece& piece, const Strip& strip) {
    return piece.grid.code_begin(strip.cells.first) - piece.grid.code_begin(piece.cells.first);
  }

  void search(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
              std::span<const std::span<std::uint8_t>> scales, std::span<const std::span<StripSums>> sums,
              std::span<std::uint8_t> codes) const {
    require_float_weights(piece.dtype);
    if (piece.grid.block.kind == BlockKind::tensor)
      throw UsageError("the scale of a tensor block is chosen from its Statistics, not block by block");
    for_each_strip(piece, [&](const Strip& strip) {
      const std::size_t offset = scale_offset(piece, strip);
      std::vector<CellResults> results(candidates.size());
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        sums[c][strip.index] = {};
        results[c] = {scales[c].data() + offset, &sums[c][strip.index],
                      codes.empty() ? nullptr : codes.data() + code_offset(piece, strip)};
      }
      if (blocks_are_cells(piece.grid)) {
        cpu::search_cells(piece, strip.cells, candidates, effort, results);
        return;
      }
      std::vector<std::uint8_t*> row_scales(candidates.size());
      std::vector<StripSums*> row_sums(candidates.size());
      const std::uint64_t per_row = piece.grid.cells_per_row;
      for (std::uint64_t first = 0; first < strip.cells.count; first += per_row) {
        for (std::size_t c = 0; c < candidates.size(); ++c) {
          row_scales[c] = results[c].scales + first / per_row;
          row_sums[c] = results[c].sums;
        }
        cpu::search_row(piece, {strip.cells.first + first, per_row}, candidates, row_scales, row_sums);
      }
      if (!codes.empty())
        cpu::encode_cells(piece, strip.cells, candidates[0], results[0].scales, results[0].codes);
    });
  }

  int threads_;
  std::optional<tbb::global_control> leave_;
  mutable tbb::task_arena arena_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace afp
