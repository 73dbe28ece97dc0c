// What candidates for tensor blocks cost: the whole space from Statistics, against the pass over the weights
// that gathers them; and the original's sweep over (N, E) of a network's convolutions, against one pass over
// the weights per candidate.
//
// AFP_BENCH_RESNET20 may name a safetensors file with the weights of ResNet-20, whose rank-4 tensors then are
// swept; else tensors of the same shapes with Gaussian weights are.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "afp/codec.hpp"
#include "afp/seed_search.hpp"
#include "afp/tensor_costs.hpp"
#include "cost_candidates.hpp"
#include "harness.hpp"
#include "sample_tensor.hpp"
#include "seed_baseline.hpp"

namespace afp::bench {
namespace {

std::vector<std::byte> sample_as(DType dtype) {
  const std::span<const std::byte> source = sample_bytes();
  const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  std::vector<std::byte> bytes(kWeights * width);
  for (std::size_t i = 0; i < kWeights; ++i) {
    std::uint16_t half;
    std::memcpy(&half, source.data() + 2 * i, sizeof half);
    // F32 weights that are no bf16 weights: a few bits more.
    const float value = bf16_to_float(half) * (1.0f + static_cast<float>(i % 251) * 0x1p-15f);
    if (dtype == DType::F16) half = float_to_f16(value);
    std::memcpy(bytes.data() + i * width, dtype == DType::F32 ? static_cast<const void*>(&value) : &half,
                width);
  }
  return bytes;
}

// An iteration: the objective's passes and the costs of all candidates; then the pass that gathers Statistics
// alone. over_statistics is the ratio of the two.
void add_costs(Objective objective, DType dtype) {
  const std::string name =
      "tensor_costs/" + std::string(to_string(objective)) + "/" + std::string(dtype_name(dtype));
  add(name, [=](benchmark::State& state) {
    const std::vector<std::byte> weights = sample_as(dtype);
    const std::vector<Encoding> space = whole_space();
    const auto backend = make_cpu_backend(1);
    double all = std::numeric_limits<double>::infinity(), costs = all, statistics = all;
    best_seconds(state, 1, [&] {
      const double begin = seconds_now(1);
      const TensorMeasurement measurement = measure_tensor(*backend, objective, dtype, weights);
      const double measured = seconds_now(1);
      benchmark::DoNotOptimize(tensor_block_costs(measurement, space));
      const double end = seconds_now(1);
      benchmark::DoNotOptimize(measure_tensor(*backend, Objective::mse, dtype, weights));
      all = std::min(all, end - begin);
      costs = std::min(costs, end - measured);
      statistics = std::min(statistics, seconds_now(1) - end);
    });
    const auto candidates = static_cast<double>(space.size());
    state.counters["statistics_ms"] = statistics * 1e3;
    state.counters["costs_ms"] = costs * 1e3;
    state.counters["over_statistics"] = all / statistics;
    state.counters["candidates/s"] = candidates / costs;
    state.counters["Gweight_candidates/s"] = candidates * static_cast<double>(kWeights) / all / 1e9;
  });
}

// --- The sweep -------------------------------------------------------------------------------------

struct Network {
  std::vector<std::vector<float>> tensors;
  std::uint64_t weights = 0;

  std::vector<TensorView> views() const {
    std::vector<TensorView> result;
    for (const std::vector<float>& tensor : tensors)
      result.push_back({"", DType::F32, std::as_bytes(std::span(tensor))});
    return result;
  }
};

Network resnet20() {
  Network network;
  if (const char* const path = std::getenv("AFP_BENCH_RESNET20")) {
    const Checkpoint input = Checkpoint::open(path);
    for (const CheckpointTensor& tensor : input.tensors()) {
      if (tensor.shape.size() != 4 || tensor.dtype != DType::F32) continue;
      std::vector<float>& weights = network.tensors.emplace_back(tensor.elements());
      input.read(tensor, 0, std::as_writable_bytes(std::span(weights)));
    }
  } else {
    std::vector<std::uint64_t> sizes = {16 * 3 * 9};
    sizes.insert(sizes.end(), 6, 16 * 16 * 9);
    sizes.push_back(32 * 16 * 9);
    sizes.insert(sizes.end(), 5, 32 * 32 * 9);
    sizes.push_back(64 * 32 * 9);
    sizes.insert(sizes.end(), 5, 64 * 64 * 9);
    for (const std::uint64_t size : sizes) {
      const std::vector<std::uint16_t> rows = make_rows(Tails::gaussian, kSeed + size, 1, size);
      std::vector<float>& weights = network.tensors.emplace_back();
      for (std::size_t i = 0; i < size; ++i)
        weights.push_back(bf16_to_float(rows[i]) * (1.0f + static_cast<float>(i % 251) * 0x1p-15f));
    }
  }
  for (const std::vector<float>& tensor : network.tensors) network.weights += tensor.size();
  return network;
}

void report_sweep(benchmark::State& state, double seconds, const Network& network) {
  const auto candidates = static_cast<double>(seed_candidates().size());
  state.counters["sweep_ms"] = seconds * 1e3;
  state.counters["candidates/s"] = candidates / seconds;
  state.counters["Mweight_candidates/s"] = candidates * static_cast<double>(network.weights) / seconds / 1e6;
}

void add_sweeps() {
  for (const int threads : {1, 2})
    add("seed_sweep/statistics/threads:" + std::to_string(threads), [=](benchmark::State& state) {
      const Network network = resnet20();
      const std::vector<TensorView> views = network.views();
      const auto backend = make_cpu_backend(threads);
      SeedSweepOptions options;
      options.run.threads = threads;
      const double seconds = best_seconds(
          state, threads, [&] { benchmark::DoNotOptimize(seed_sweep(*backend, views, options)); });
      report_sweep(state, seconds, network);
    });
  for (const auto& [name, nearest] : {std::pair{"binary_search", SeedNearest::binary_search},
                                      std::pair{"all_distances", SeedNearest::all_distances}})
    add("seed_sweep/baseline_" + std::string(name) + "/threads:1",
        [=, nearest = nearest](benchmark::State& state) {
          const Network network = resnet20();
          double worst = 0.0;
          std::vector<double> averages;
          const double seconds =
              best_seconds(state, 1, [&] { averages = seed_baseline(network.tensors, nearest); });
          const SeedSweep sweep = seed_sweep(*make_cpu_backend(1), network.views());
          for (std::size_t c = 0; c < averages.size(); ++c)
            worst = std::max(worst, std::abs(averages[c] / sweep.entries[c].average_kl - 1.0));
          report_sweep(state, seconds, network);
          state.counters["worst_difference"] = worst;
        });
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  using namespace afp::bench;
  for (const afp::DType dtype : {afp::DType::BF16, afp::DType::F16, afp::DType::F32})
    for (const afp::Objective objective : {afp::Objective::mse, afp::Objective::kl, afp::Objective::kl_seed})
      add_costs(objective, dtype);
  add_sweeps();
  return run(argc, argv);
}
