// The original's sweep over (N, E), tensors in parallel.
#include "afp/seed_search.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <numeric>

#include "afp/error.hpp"
#include "afp/log2.hpp"
#include "host/core/narrow.hpp"
#include "host/core/piece_pipeline.hpp"

namespace afp {
namespace {

void check_candidates(std::span<const SeedCandidate> candidates) {
  if (candidates.empty()) throw UsageError("no candidates of (N, E) are given");
  for (const SeedCandidate& candidate : candidates)
    if (candidate.bits < kMinBits || candidate.bits > kMaxBits || candidate.exponent_bits < 0 ||
        candidate.exponent_bits >= candidate.bits)
      throw UsageError("N = " + std::to_string(candidate.bits) +
                       ", E = " + std::to_string(candidate.exponent_bits) +
                       " is not a candidate; expected N in 2..8 and E in 0..N-1");
}

// One tensor of a sweep; weights(measurement) makes its passes.
struct Job {
  std::string name;
  std::uint64_t weights;
};

// measure(tensor) returns the measurement of jobs[tensor].
template <class Measure>
SeedSweep sweep(const std::vector<Job>& jobs, const SeedSweepOptions& options, const Measure& measure) {
  check_candidates(options.candidates);
  if (jobs.empty()) throw UsageError("no tensor is selected for the average");
  const std::size_t candidates = options.candidates.size();
  std::vector<SeedShape> shapes;
  for (const SeedCandidate& candidate : options.candidates)
    shapes.push_back({candidate.exponent_bits, candidate.mantissa_bits()});
  SeedSweep result;
  result.divergences.resize(jobs.size() * candidates);

  // Large tensors first: the last one to finish is then a small one.
  std::vector<std::size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return jobs[a].weights > jobs[b].weights; });
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < jobs.size();) {
      if (options.run.stop && options.run.stop->load(std::memory_order_relaxed)) throw Interrupted();
      const TensorMeasurement measurement = measure(order[i]);
      const std::vector<double> divergences = measurement.seed_divergences(shapes);
      std::copy(divergences.begin(), divergences.end(), &result.divergences[order[i] * candidates]);
    }
  };
  const auto threads = std::min(static_cast<std::size_t>(thread_count(options.run)), jobs.size());
  tbb::task_arena(static_cast<int>(threads)).execute([&] {
    tbb::parallel_for(
        std::size_t{0}, threads, [&](std::size_t) { work(); }, tbb::simple_partitioner());
  });

  for (const Job& job : jobs) result.tensors.push_back(job.name);
  for (std::size_t c = 0; c < candidates; ++c) {
    double sum = 0.0, weights = 0.0;
    for (std::size_t t = 0; t < jobs.size(); ++t) {
      const double weight = options.weighted_by_size ? static_cast<double>(jobs[t].weights) : 1.0;
      sum += weight * result.divergences[t * candidates + c];
      weights += weight;
    }
    const SeedCandidate& candidate = options.candidates[c];
    result.entries.push_back(
        {candidate, sum / weights, hardware_penalty(candidate.exponent_bits, candidate.mantissa_bits())});
  }
  return result;
}

TensorMeasurement measure_from_file(const Backend& backend, const Checkpoint& input,
                                    const CheckpointTensor& tensor) {
  const bool is_wide = tensor.dtype == DType::F64;
  const DType dtype = is_wide ? DType::F32 : tensor.dtype;
  const std::uint64_t source_width = static_cast<std::uint64_t>(dtype_bits(tensor.dtype)) / 8;
  const BlockGrid grid({BlockKind::tensor, 0}, kMaxBits, {tensor.elements()});
  const std::uint64_t per_strip = cells_per_strip(grid);
  const std::uint64_t per_piece =
      std::max<std::uint64_t>(1, backend.preferred_piece_bytes() / source_width / kStripWeights) * per_strip;
  std::vector<std::byte> source, narrowed;

  TensorMeasurement measurement(backend, Objective::kl_seed, dtype, tensor.name);
  while (measurement.needs_pass())
    for (std::uint64_t first = 0; first < grid.cells(); first += per_piece) {
      const CellRange cells{first, std::min(per_piece, grid.cells() - first)};
      const std::uint64_t begin = grid.weight_begin(first),
                          end = std::min(grid.weight_begin(first) + cells.count * kSegment, grid.weights());
      source.resize((end - begin) * source_width);
      input.read(tensor, begin * source_width, source);
      if (is_wide) {
        narrowed.resize((end - begin) * sizeof(float));
        narrow_f64(source, narrowed);
      }
      measurement.take({grid, cells, dtype, is_wide ? narrowed.data() : source.data()});
    }
  return measurement;
}

}  // namespace

std::vector<SeedCandidate> seed_candidates(int least_bits, int most_bits) {
  std::vector<SeedCandidate> candidates;
  for (int bits = least_bits; bits <= most_bits; ++bits)
    for (int exponent_bits = 0; exponent_bits < bits; ++exponent_bits)
      candidates.push_back({bits, exponent_bits});
  check_candidates(candidates);
  return candidates;
}

SeedSweep seed_sweep(const Backend& backend, std::span<const TensorView> tensors,
                     const SeedSweepOptions& options) {
  std::vector<Job> jobs;
  std::vector<const TensorView*> views;
  for (const TensorView& tensor : tensors) {
    if (tensor.weights.empty()) continue;
    jobs.push_back(
        {tensor.name, tensor.weights.size() * 8 / static_cast<std::uint64_t>(dtype_bits(tensor.dtype))});
    views.push_back(&tensor);
  }
  return sweep(jobs, options, [&](std::size_t t) {
    return measure_tensor(backend, Objective::kl_seed, views[t]->dtype, views[t]->weights, views[t]->name);
  });
}

SeedSweep seed_sweep(const Backend& backend, const Checkpoint& input, const SeedSweepOptions& options) {
  std::vector<Job> jobs;
  std::vector<const CheckpointTensor*> sources;
  for (const CheckpointTensor& tensor : input.tensors()) {
    const bool is_selected = options.selects ? options.selects(tensor) : tensor.shape.size() == 4;
    if (!is_selected || !is_quantizable(tensor.dtype) || tensor.elements() == 0) continue;
    jobs.push_back({tensor.name, tensor.elements()});
    sources.push_back(&tensor);
  }
  return sweep(jobs, options, [&](std::size_t t) { return measure_from_file(backend, input, *sources[t]); });
}

double model_cost(const Backend& backend, const Checkpoint& input, SeedCandidate candidate,
                  SeedSweepOptions options) {
  options.candidates = {candidate};
  return seed_sweep(backend, input, options).entries[0].average_kl;
}

double penalty_factor(int penalty, double exponent) {
  if (!(exponent >= 0.0 && exponent <= kMostPenaltyExponent))
    throw UsageError("a penalty exponent of " + std::to_string(exponent) + "; expected 0 to " +
                     std::to_string(static_cast<int>(kMostPenaltyExponent)));
  return portable_exp2(exponent * portable_log2(static_cast<double>(penalty)));
}

double seed_cost(const SeedSweep::Entry& entry, double penalty_exponent) {
  return penalty_factor(entry.penalty, penalty_exponent) * 10.0 * entry.average_kl;
}

SeedChoice best_seed_choice(const SeedSweep& sweep, double penalty_exponent) {
  SeedChoice best;
  for (std::size_t i = 0; i < sweep.entries.size(); ++i) {
    const double cost = seed_cost(sweep.entries[i], penalty_exponent);
    if (i == 0 || cost < best.cost) best = {sweep.entries[i].candidate, cost};
  }
  return best;
}

double seed_annealing_cost(const SeedSweep::Entry& entry) {
  const double ten = 10.0 * entry.average_kl, square = ten * ten;
  return static_cast<double>(entry.penalty) * (square * square);
}

}  // namespace afp
