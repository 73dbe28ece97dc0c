// The CUDA backend: every piece goes through the kernels in parts, see parts.hpp and job.hpp.
#include "host/cuda/cuda_backend.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "afp/backend.hpp"
#include "afp/block_sample.hpp"
#include "afp/block_search.hpp"
#include "afp/error.hpp"
#include "afp/tensor_scale_scan.hpp"
#include "host/cuda/parts.hpp"
#include "host/cuda/pinned_memory.hpp"
#include "host/cuda/range.hpp"
#include "host/cuda/tensor_tables.hpp"
#include "kernels/cost_cells.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/encode.hpp"
#include "kernels/extent.hpp"
#include "kernels/linear_histogram.hpp"
#include "kernels/score_segments.hpp"
#include "kernels/search_cells.hpp"
#include "kernels/search_rows.hpp"
#include "kernels/statistics.hpp"
#include "kernels/tensor_costs.hpp"
#include "kernels/weighted_errors.hpp"

namespace afp {
namespace {

using cuda::Job;
using cuda::Part;
using cuda::Placed;
using kernels::DevicePiece;

std::size_t bytes_per_weight(DType dtype) {
  return static_cast<std::size_t>(dtype_bits(dtype)) / 8;
}

void require_float_weights(DType dtype) {
  if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
    throw UsageError("a backend takes BF16, F16 or F32 weights, found " + std::string(dtype_name(dtype)));
}

// What lies before the cells [0, cell), counted from the piece's begin.
std::uint64_t weights_between(const BlockGrid& grid, std::uint64_t first, std::uint64_t end) {
  return first == end ? 0 : grid.weight_begin(end) - grid.weight_begin(first);
}

// The scale bytes that a part takes, among those of the piece.
struct ScaleRange {
  ScaleRange(const BlockGrid& grid, CellRange piece, CellRange part)
      : first(grid.scale_index(part.first) - grid.scale_index(piece.first)),
        count(grid.scale_index(part.first + part.count - 1) - grid.scale_index(part.first) + 1) {}
  std::uint64_t first, count;
};

// Likewise of code bytes. A last cell ends where the row does.
struct CodeRange {
  CodeRange(const BlockGrid& grid, CellRange piece, CellRange part)
      : first(grid.code_begin(part.first) - grid.code_begin(piece.first)),
        count(grid.code_begin(part.first + part.count) - grid.code_begin(part.first)) {}
  std::uint64_t first, count;
};

// The weights of one part in a job.
class PartWeights {
 public:
  PartWeights(Job& job, const WeightPiece& piece, const Part& part)
      : job_(job), piece_(piece), cells_(part.cells) {
    const std::size_t width = bytes_per_weight(piece.dtype);
    const std::uint64_t begin = weights_between(piece.grid, piece.cells.first, cells_.first);
    count_ = weights_between(piece.grid, cells_.first, cells_.first + cells_.count);
    placed_ = job.input(std::span(piece.weights + begin * width, count_ * width));
  }

  std::uint64_t count() const { return count_; }
  const std::byte* data() const { return job_.at(placed_); }
  DevicePiece piece() const { return {piece_.grid, cells_, piece_.dtype, data()}; }

 private:
  Job& job_;
  const WeightPiece& piece_;
  CellRange cells_;
  std::uint64_t count_ = 0;
  Placed<std::byte> placed_;
};

// Candidates in groups that are normalized alike and no larger than a launch takes; results come in their
// order.
struct Groups {
  Groups(std::span<const TensorCodec> candidates, std::size_t most) {
    std::map<int, std::vector<std::size_t>> by_exponent;
    for (std::size_t c = 0; c < candidates.size(); ++c)
      by_exponent[lowest_block_exponent(candidates[c])].push_back(c);
    for (const auto& [exponent, members] : by_exponent) {
      for (std::size_t first = 0; first < members.size(); first += most) {
        const auto begin = members.begin() + static_cast<std::ptrdiff_t>(first);
        groups.emplace_back(begin,
                            begin + static_cast<std::ptrdiff_t>(std::min(most, members.size() - first)));
      }
      order.insert(order.end(), members.begin(), members.end());
    }
  }
  std::vector<std::vector<std::size_t>> groups;
  std::vector<std::size_t> order;
};

template <class Task>
void set_candidates(Task& task, std::span<const TensorCodec> candidates,
                    const std::vector<std::size_t>& members) {
  task.count = static_cast<int>(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) task.candidates[i] = block_codec(candidates[members[i]]);
}

// What rows of several cells need beside their scales.
struct RowResults {
  RowResults(Job& job, const Groups& groups, std::uint64_t rows_, std::uint64_t strips_, bool scales_wanted)
      : rows(rows_),
        strips(strips_),
        scales(job.output<std::uint8_t>(scales_wanted ? groups.order.size() * rows : 0)),
        sums(job.output<StripSums>(groups.order.size() * strips)),
        row_sums(job.scratch<StripSums>(groups.order.size() * rows)) {}
  std::uint64_t rows, strips;
  Placed<std::uint8_t> scales;
  Placed<StripSums> sums, row_sums;
};

void search_rows(Job& job, const DevicePiece& piece, std::span<const TensorCodec> candidates,
                 const Groups& groups, std::uint32_t sample, const RowResults& results) {
  std::size_t first = 0;
  for (const std::vector<std::size_t>& members : groups.groups) {
    kernels::SearchRows task{
        piece,
        cells_per_strip(piece.grid),
        {},
        0,
        nullptr,
        sample,
        results.scales.count == 0 ? nullptr : job.at(results.scales) + first * results.rows,
        job.at(results.row_sums) + first * results.rows,
        job.at(results.sums) + first * results.strips};
    set_candidates(task, candidates, members);
    job.run(kernels::search_rows(task, job.stream()));
    first += members.size();
  }
}

// Results in the order of the groups, so many of each candidate, to where the piece has them from `first` on.
template <class T>
void deliver_in_order(Job& job, Placed<T> found, const Groups& groups, std::uint64_t first,
                      std::uint64_t count, std::span<const std::span<T>> destinations) {
  job.deliver<T>(found, [order = groups.order, first, count, destinations](std::span<const T> values) {
    for (std::size_t i = 0; i < order.size(); ++i)
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * count), count,
                  destinations[order[i]].begin() + static_cast<std::ptrdiff_t>(first));
  });
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::span<const int> devices) : lanes_(devices), host_memory_(devices[0]) {}

  std::string name() const override { return "cuda"; }
  std::string description() const override { return "cuda, " + device_use().device; }

  DeviceUse device_use() const override {
    std::map<std::string, int> devices;
    DeviceUse use;
    for (const auto& device : lanes_.devices()) {
      ++devices[device->name()];
      use.peak_memory += device->memory().peak();
    }
    for (const auto& [device, count] : devices)
      use.device +=
          (use.device.empty() ? "" : ", ") + (count == 1 ? "" : std::to_string(count) + " x ") + device;
    return use;
  }
  // Transfers and kernels of a few megabytes are as fast as they get.
  std::uint64_t preferred_piece_bytes() const override { return 16 << 20; }
  // One in every lane; a caller does little but wait.
  std::size_t preferred_pieces(int) const override {
    return lanes_.devices().size() * cuda::LanePool::kLanesOfDevice;
  }

  std::pmr::memory_resource& host_memory() const override { return host_memory_; }

  Extent extent(const WeightPiece& piece) const override {
    const cuda::Range range("extent");
    require_float_weights(piece.dtype);
    Extent total;
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const auto result = job.output<kernels::RawExtent>(
          1, [](std::span<kernels::RawExtent> raw) { raw[0] = kernels::RawExtent{}; });
      job.start();
      job.run(kernels::extent(
          {piece.dtype, weights.data(), weights.count(), job.multiprocessors(), job.at(result)},
          job.stream()));
      job.deliver<kernels::RawExtent>(
          result, [&](std::span<const kernels::RawExtent> raw) { total.merge(kernels::extent_of(raw[0])); });
    });
    return total;
  }

  void accumulate(const WeightPiece& piece, Statistics& statistics) const override {
    const cuda::Range range("statistics");
    require_float_weights(piece.dtype);
    const std::size_t keys = kernels::keys_of(piece.dtype);
    const std::size_t sums = cuda::sums_of(piece.dtype);
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const std::uint64_t chunks = ceil_div(weights.count(), kernels::kStatisticsChunk);
      const auto tables = job.output<std::uint64_t>(sums * keys);
      const auto largest = job.output<unsigned int>(1);
      const auto tensor =
          job.input<kernels::StatisticsTensor>(1, [&](std::span<kernels::StatisticsTensor> one) {
            one[0] = {weights.data(), weights.count(),
                      cuda::tables_at(job.at(tables), piece.dtype, job.at(largest))};
          });
      const auto first_chunk = job.input<std::uint64_t>(2, [&](std::span<std::uint64_t> first) {
        first[0] = 0;
        first[1] = chunks;
      });
      job.start();
      job.clear(tables);
      job.clear(largest);
      job.run(kernels::statistics(
          {piece.dtype, job.at(tensor), {job.at(first_chunk), 1}, chunks, job.multiprocessors()},
          job.stream()));
      // In the order of delivery: the largest comes first.
      const auto found_largest = std::make_shared<float>();
      job.deliver<unsigned int>(
          largest, [=](std::span<const unsigned int> bits) { *found_largest = bits_float(bits[0]); });
      job.deliver<std::uint64_t>(
          tables, [&statistics, keys, sums, found_largest](std::span<const std::uint64_t> all) {
            if (sums == 1) return statistics.add_counts(0, all);
            statistics.add_counts(
                0,
                Statistics::WideCounts{all.subspan(0, keys), all.subspan(keys, keys),
                                       all.subspan(2 * keys, keys), all.subspan(3 * keys, keys)},
                *found_largest);
          });
    });
  }

  std::uint64_t count_within(const WeightPiece& piece, float limit) const override {
    const cuda::Range range("count_within");
    require_float_weights(piece.dtype);
    std::uint64_t total = 0;
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const auto result = job.output<unsigned long long>(1);
      job.start();
      job.clear(result);
      job.run(kernels::count_within(
          {piece.dtype, weights.data(), weights.count(), limit, job.multiprocessors(), job.at(result)},
          job.stream()));
      job.deliver<unsigned long long>(result,
                                      [&](std::span<const unsigned long long> count) { total += count[0]; });
    });
    return total;
  }

  void accumulate(const WeightPiece& piece, LinearHistogram& histogram) const override {
    const cuda::Range range("linear histogram");
    require_float_weights(piece.dtype);
    const std::size_t bins = histogram.bins();
    const double per_bin = static_cast<double>(bins) / static_cast<double>(histogram.limit());
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const std::uint64_t chunks = ceil_div(weights.count(), kernels::kHistogramChunk);
      const auto edges = job.input(histogram.edges());
      const auto counts = job.output<unsigned long long>(bins);
      const auto tensor =
          job.input<kernels::HistogramTensor>(1, [&](std::span<kernels::HistogramTensor> one) {
            one[0] = {weights.data(), weights.count(), job.at(edges), static_cast<std::uint32_t>(bins),
                      per_bin,        job.at(counts)};
          });
      const auto first_chunk = job.input<std::uint64_t>(2, [&](std::span<std::uint64_t> first) {
        first[0] = 0;
        first[1] = chunks;
      });
      job.start();
      job.clear(counts);
      job.run(kernels::linear_histogram({piece.dtype,
                                         job.at(tensor),
                                         {job.at(first_chunk), 1},
                                         chunks,
                                         static_cast<std::uint32_t>(bins),
                                         job.multiprocessors()},
                                        job.stream()));
      job.deliver<unsigned long long>(counts, [&](std::span<const unsigned long long> found) {
        histogram.add_counts(std::vector<std::uint64_t>(found.begin(), found.end()));
      });
    });
  }

  void choose_tensor_scales(const KeyTable& keys, std::span<const Encoding> candidates,
                            std::span<std::optional<TensorScale>> scales) const override {
    const cuda::Range range("choose_tensor_scales");
    std::vector<BlockCodec> codecs;
    for (const Encoding& encoding : candidates) codecs.push_back(block_codec({encoding, 1.0f}));
    std::vector<TensorScale> found(candidates.size());
    run_job([&](Job& job) {
      const auto base = job.input(std::span(keys.base));
      const auto count_base = job.input(std::span(keys.count_base));
      const auto count_inside = job.input(std::span(keys.count_inside));
      const auto mean = job.input(std::span(keys.mean));
      const auto spread = job.input(std::span(keys.spread));
      const auto facts = job.input<kernels::KeyFacts>(1, [&](std::span<kernels::KeyFacts> one) {
        one[0] = {};
        one[0].absmax = keys.absmax;
        one[0].slots = static_cast<std::uint32_t>(keys.slots());
      });
      const auto tensor = job.input<kernels::CostTensor>(1, [&](std::span<kernels::CostTensor> one) {
        one[0] = {};
        one[0].keys = {job.at(facts),
                       job.at(base),
                       job.at(count_base),
                       job.at(count_inside),
                       job.at(mean),
                       job.at(spread),
                       nullptr,
                       nullptr};
      });
      const auto candidate_codecs = job.input(std::span<const BlockCodec>(codecs));
      const auto costs = job.scratch<double>(codecs.size());
      const auto tensor_scales = job.output<TensorScale>(codecs.size());
      job.start();
      job.run(kernels::tensor_costs(
          {keys.dtype, Objective::mse, job.at(tensor), job.at(candidate_codecs), 1,
           static_cast<std::uint32_t>(codecs.size()), job.at(costs), job.at(tensor_scales)},
          job.stream()));
      job.deliver(tensor_scales, std::span(found));
    });
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      scales[c].reset();
      if (keys.absmax == 0.0f || keys_decide(keys.dtype, candidates[c].scale)) scales[c] = found[c];
    }
  }

  void compare_shares(const MagnitudeShares& magnitudes, std::span<const LevelShares> rounded,
                      std::span<double> divergences) const override {
    const cuda::Range range("compare_shares");
    std::vector<double> levels, shares;
    std::vector<std::uint32_t> first = {0};
    for (const LevelShares& distribution : rounded) {
      levels.insert(levels.end(), distribution.levels.begin(), distribution.levels.end());
      shares.insert(shares.end(), distribution.shares.begin(), distribution.shares.end());
      first.push_back(static_cast<std::uint32_t>(levels.size()));
    }
    run_job([&](Job& job) {
      const auto points = job.input(std::span(magnitudes.points));
      const auto point_shares = job.input(std::span(magnitudes.shares));
      const auto all_levels = job.input(std::span<const double>(levels));
      const auto level_shares = job.input(std::span<const double>(shares));
      const auto first_level = job.input(std::span<const std::uint32_t>(first));
      const auto found = job.output<double>(rounded.size());
      job.start();
      job.run(kernels::compare_shares(
          {job.at(points), job.at(point_shares), static_cast<std::uint32_t>(magnitudes.points.size()),
           job.at(all_levels), job.at(level_shares), job.at(first_level),
           static_cast<std::uint32_t>(rounded.size()), job.at(found)},
          job.stream()));
      job.deliver(found, divergences);
    });
  }

  void choose_scales(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
                     std::span<const std::span<std::uint8_t>> scales,
                     std::span<const std::span<StripSums>> sums) const override {
    const cuda::Range range("choose_scales");
    require_choice(piece);
    const Groups groups(candidates, kernels::kMostRowCandidates);
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const ScaleRange blocks(piece.grid, piece.cells, part.cells);
      if (!blocks_are_cells(piece.grid)) {
        const RowResults found(job, groups, blocks.count, part.strips, true);
        job.start();
        search_rows(job, weights.piece(), candidates, groups, 1, found);
        deliver_in_order(job, found.scales, groups, blocks.first, blocks.count, scales);
        deliver_in_order(job, found.sums, groups, part.first_strip, part.strips, sums);
        return;
      }
      const auto found_scales = job.output<std::uint8_t>(candidates.size() * blocks.count);
      const auto found_sums = job.output<StripSums>(candidates.size() * part.strips);
      job.start();
      for (std::size_t i = 0; i < groups.order.size(); ++i)
        job.run(kernels::search_cells(
            {weights.piece(), cells_per_strip(piece.grid), block_codec(candidates[groups.order[i]]), nullptr,
             effort, job.at(found_scales) + i * blocks.count, job.at(found_sums) + i * part.strips, nullptr},
            job.stream()));
      deliver_in_order(job, found_scales, groups, blocks.first, blocks.count, scales);
      deliver_in_order(job, found_sums, groups, part.first_strip, part.strips, sums);
    });
  }

  void quantize(const WeightPiece& piece, const TensorCodec& codec, Effort effort,
                std::span<std::uint8_t> scales, std::span<StripSums> sums,
                std::span<std::uint8_t> codes) const override {
    const cuda::Range range("quantize");
    require_choice(piece);
    const Groups groups({&codec, 1}, 1);
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const ScaleRange blocks(piece.grid, piece.cells, part.cells);
      const CodeRange bytes(piece.grid, piece.cells, part.cells);
      const auto found_codes = job.output<std::uint8_t>(bytes.count);
      job.deliver(found_codes, codes.subspan(bytes.first, bytes.count));
      if (!blocks_are_cells(piece.grid)) {
        const RowResults found(job, groups, blocks.count, part.strips, true);
        job.deliver(found.scales, scales.subspan(blocks.first, blocks.count));
        job.deliver(found.sums, sums.subspan(part.first_strip, part.strips));
        job.start();
        search_rows(job, weights.piece(), {&codec, 1}, groups, 1, found);
        job.run(kernels::encode(
            {weights.piece(), block_codec(codec), nullptr, job.at(found.scales), job.at(found_codes)},
            job.stream()));
        return;
      }
      const auto found_scales = job.output<std::uint8_t>(blocks.count);
      const auto found_sums = job.output<StripSums>(part.strips);
      job.deliver(found_scales, scales.subspan(blocks.first, blocks.count));
      job.deliver(found_sums, sums.subspan(part.first_strip, part.strips));
      job.start();
      job.run(
          kernels::search_cells({weights.piece(), cells_per_strip(piece.grid), block_codec(codec), nullptr,
                                 effort, job.at(found_scales), job.at(found_sums), job.at(found_codes)},
                                job.stream()));
    });
  }

  void block_costs(const WeightPiece& piece, std::span<const TensorCodec> candidates, Effort effort,
                   std::uint32_t sample, std::span<const std::span<StripSums>> sums) const override {
    const cuda::Range range("block_costs");
    require_float_weights(piece.dtype);
    const BlockSample checked(piece.grid, sample);  // throws what it has against the request
    const bool cells = blocks_are_cells(piece.grid);
    const Groups groups(candidates, cells ? kernels::kMostCostCandidates : kernels::kMostRowCandidates);
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      if (!cells) {
        const std::uint64_t rows = ScaleRange(piece.grid, piece.cells, part.cells).count;
        const RowResults found(job, groups, rows, part.strips, false);
        job.start();
        search_rows(job, weights.piece(), candidates, groups, sample, found);
        deliver_in_order(job, found.sums, groups, part.first_strip, part.strips, sums);
        return;
      }
      const auto found = job.output<StripSums>(candidates.size() * part.strips);
      job.start();
      std::size_t first = 0;
      for (const std::vector<std::size_t>& members : groups.groups) {
        kernels::CostCells task{weights.piece(), cells_per_strip(piece.grid),        {}, 0, effort,
                                sample,          job.at(found) + first * part.strips};
        set_candidates(task, candidates, members);
        job.run(kernels::cost_cells(task, job.stream()));
        first += members.size();
      }
      deliver_in_order(job, found, groups, part.first_strip, part.strips, sums);
    });
  }

  void weighted_errors(const WeightPiece& piece, const TensorCodec& codec,
                       std::span<const std::uint8_t> scales, std::span<const float> importance,
                       std::span<double> errors) const override {
    const cuda::Range range("weighted_errors");
    require_float_weights(piece.dtype);
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const ScaleRange blocks(piece.grid, piece.cells, part.cells);
      const auto bytes = job.input(scales.subspan(blocks.first, blocks.count));
      const auto columns = job.input(importance);
      const auto found = job.output<double>(part.strips);
      job.start();
      job.run(kernels::weighted_errors({weights.piece(), cells_per_strip(piece.grid), block_codec(codec),
                                        job.at(bytes), job.at(columns), job.at(found)},
                                       job.stream()));
      job.deliver(found, errors.subspan(part.first_strip, part.strips));
    });
  }

  void score_scales(const WeightPiece& piece, const TensorCodec& codec, const LongBlock& block,
                    std::span<const std::uint8_t> bytes, std::span<ScaleScore> scores) const override {
    const cuda::Range range("score_scales");
    require_float_weights(piece.dtype);
    constexpr std::size_t kMost = kernels::kMostSegmentScales;
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const auto found = job.output<ScaleScore>(part.strips * bytes.size());
      job.start();
      for (std::size_t first = 0; first < bytes.size(); first += kMost) {
        const std::size_t count = std::min(kMost, bytes.size() - first);
        kernels::ScoreSegments task{
            weights.piece(),         cells_per_strip(piece.grid),        exp2_int(-block.exponent), {}, {},
            static_cast<int>(count), job.at(found) + part.strips * first};
        for (std::size_t i = 0; i < count; ++i) {
          task.formats[i] = codec.encoding.format_of(bytes[first + i]);
          task.scales[i] = block.normalized_scale(codec, bytes[first + i]);
        }
        job.run(kernels::score_segments(task, job.stream()));
      }
      job.deliver<ScaleScore>(
          found, [=](std::span<const ScaleScore> values) {  // group by group, there strip by strip
            for (std::size_t first = 0; first < bytes.size(); first += kMost) {
              const std::size_t count = std::min(kMost, bytes.size() - first);
              for (std::size_t i = 0; i < part.strips * count; ++i)
                scores[(part.first_strip + i / count) * bytes.size() + first + i % count] =
                    values[part.strips * first + i];
            }
          });
    });
  }

  void encode(const WeightPiece& piece, const TensorCodec& codec, std::span<const std::uint8_t> scales,
              std::span<std::uint8_t> codes) const override {
    const cuda::Range range("encode");
    require_float_weights(piece.dtype);
    for_each_part(piece, [&](Job& job, const Part& part) {
      const PartWeights weights(job, piece, part);
      const ScaleRange blocks(piece.grid, piece.cells, part.cells);
      const CodeRange bytes(piece.grid, piece.cells, part.cells);
      const auto given = job.input(scales.subspan(blocks.first, blocks.count));
      const auto found = job.output<std::uint8_t>(bytes.count);
      job.start();
      job.run(kernels::encode({weights.piece(), block_codec(codec), nullptr, job.at(given), job.at(found)},
                              job.stream()));
      job.deliver(found, codes.subspan(bytes.first, bytes.count));
    });
  }

  void dequantize(const BlockGrid& grid, CellRange cells, const TensorCodec& codec,
                  std::span<const std::uint8_t> scales, std::span<const std::uint8_t> codes, DType dtype,
                  std::span<std::byte> weights) const override {
    const cuda::Range range("dequantize");
    require_float_weights(dtype);
    cuda::for_each_part(lanes_, grid, cells, [&](Job& job, const Part& part) {
      const ScaleRange blocks(grid, cells, part.cells);
      const CodeRange bytes(grid, cells, part.cells);
      const std::size_t width = bytes_per_weight(dtype);
      const std::uint64_t begin = weights_between(grid, cells.first, part.cells.first) * width;
      const std::uint64_t size =
          weights_between(grid, part.cells.first, part.cells.first + part.cells.count) * width;
      const auto given_scales = job.input(scales.subspan(blocks.first, blocks.count));
      const auto given_codes = job.input(codes.subspan(bytes.first, bytes.count));
      const auto found = job.output<std::byte>(size);
      job.start();
      job.run(kernels::dequantize({grid, part.cells, block_codec(codec), nullptr, job.at(given_scales),
                                   job.at(given_codes), dtype, job.at(found)},
                                  job.stream()));
      job.deliver(found, weights.subspan(begin, size));
    });
  }

 private:
  template <class Body>
  void for_each_part(const WeightPiece& piece, const Body& body) const {
    cuda::for_each_part(lanes_, piece.grid, piece.cells, body);
  }

  // One job that cannot be cut into parts.
  template <class Body>
  void run_job(const Body& body) const {
    const cuda::CurrentDevice restored;
    const auto run = [&] {
      Job job(lanes_.take());
      body(job);
      job.finish();
    };
    try {
      run();
    } catch (const cuda::OutOfMemory&) {
      lanes_.release_idle_memory();
      run();
    }
  }

  static void require_choice(const WeightPiece& piece) {
    require_float_weights(piece.dtype);
    if (piece.grid.block.kind == BlockKind::tensor)
      throw UsageError("the scale of a tensor block is chosen from its Statistics, not block by block");
  }

  mutable cuda::LanePool lanes_;
  mutable cuda::PinnedMemory host_memory_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(std::span<const int> devices, int) {
  return std::make_unique<CudaBackend>(devices);
}

}  // namespace afp
