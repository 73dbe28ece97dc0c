// The solvers on tables that look like a model's: time, gap, and distance from the exact solver's cost. Times
// are of one thread's processor time unless the name says otherwise. Where there is a GPU, annealing by many
// chains on it.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "afp/chain_runner.hpp"
#include "afp/search.hpp"
#include "harness.hpp"

namespace afp::bench {
namespace {

// Rows from a thousand to a hundred million weights, costs that fall fourfold a bit, noisily; columns are
// bits from 2 to 8 by exponent bits by block size. `budget`: of the way from the smallest choice to the
// largest.
SearchProblem synthetic_model(std::size_t rows, std::size_t columns, std::optional<double> budget,
                              std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  SearchProblem problem;
  problem.rows = rows;
  for (std::size_t column = 0; column < columns; ++column) {
    const int bits = 2 + static_cast<int>(column % 7);
    problem.columns.push_back({bits, static_cast<int>(column / 7) % bits});
  }
  std::uint64_t least = 0, most = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto weights = static_cast<std::uint64_t>(1e3 * std::pow(1e5, unit())) / 32 * 32 + 32;
    const double scale = static_cast<double>(weights) * std::exp(4.0 * unit() - 8.0);
    std::uint64_t row_least = std::numeric_limits<std::uint64_t>::max(), row_most = 0;
    for (std::size_t column = 0; column < columns; ++column) {
      const auto bits = static_cast<std::uint64_t>(problem.columns[column].bits);
      const std::uint64_t block = std::uint64_t{16} << (column / 7 % 4);
      const std::uint64_t bytes = weights * bits / 8 + weights / block;
      const double coarse = 1.0 + 0.1 * std::log2(static_cast<double>(block));
      problem.costs.push_back(scale * std::pow(4.0, -static_cast<double>(bits)) * (0.7 + 0.6 * unit()) *
                              coarse);
      problem.bytes.push_back(bytes);
      row_least = std::min(row_least, bytes);
      row_most = std::max(row_most, bytes);
    }
    least += row_least;
    most += row_most;
  }
  if (budget)
    problem.budget = least + static_cast<std::uint64_t>(static_cast<double>(most - least) * *budget);
  return problem;
}

std::string problem_name(std::size_t rows, std::size_t columns, double budget) {
  return std::to_string(rows) + "x" + std::to_string(columns) +
         "/budget:" + std::to_string(static_cast<int>(100.0 * budget + 0.5)) + "%";
}

struct Sample {
  SearchProblem problem;
  SearchOptions options;
};
std::vector<Sample> samples(std::size_t rows, std::size_t columns, double budget, Method method,
                            int threads) {
  std::vector<Sample> samples;
  for (const std::uint64_t seed : {1, 2, 3}) {
    samples.push_back({synthetic_model(rows, columns, budget, seed), {}});
    samples.back().options.method = method;
    samples.back().options.seed = seed;
    samples.back().options.threads = threads;
  }
  return samples;
}

// Three problems; the time is of the slowest, gap and distance are the greatest.
void add_solver(Method method, std::size_t rows, std::size_t columns, double budget, int threads) {
  const std::string name = std::string(to_string(method)) + "/" + problem_name(rows, columns, budget) +
                           "/threads:" + std::to_string(threads);
  add(name, [=](benchmark::State& state) {
    const auto problems = samples(rows, columns, budget, method, threads);
    double slowest = 0.0, gap = 0.0, over_exact = 0.0, evaluations = 0.0, proven = 0.0, rate = 0.0;
    std::vector<double> best(problems.size(), std::numeric_limits<double>::infinity());
    std::vector<SearchResult> results(problems.size());
    for (auto _ : state)
      for (std::size_t i = 0; i < problems.size(); ++i) {
        const double begin = seconds_now(threads);
        results[i] = search(problems[i].problem, problems[i].options);
        best[i] = std::min(best[i], seconds_now(threads) - begin);
      }
    for (std::size_t i = 0; i < problems.size(); ++i) {
      slowest = std::max(slowest, best[i]);
      gap = std::max(gap, results[i].gap);
      proven += results[i].gap == 0.0 ? 1.0 : 0.0;
      evaluations = std::max(evaluations, static_cast<double>(results[i].evaluations));
      rate = std::max(rate, static_cast<double>(results[i].evaluations) / best[i]);
      over_exact = std::max(over_exact, results[i].cost / search(problems[i].problem, {}).cost - 1.0);
    }
    state.counters["ms"] = 1e3 * slowest;
    state.counters["gap_%"] = 100.0 * gap;
    state.counters["proven_of_3"] = proven;
    state.counters["evaluations"] = evaluations;
    if (method == Method::exact) return;
    state.counters["over_exact_%"] = 100.0 * over_exact;
    state.counters["Mevaluations/s"] = rate / 1e6;  // of annealing: proposals
  });
}

// Wall-clock time of a whole search, its host's part included.
void add_anneal_on_device(std::size_t rows, std::size_t columns, std::uint32_t chains, ChainRunner& runner) {
  const std::string name =
      "anneal/" + problem_name(rows, columns, 0.5) + "/device/chains:" + std::to_string(chains);
  add(name, [=, &runner](benchmark::State& state) {
    const SearchProblem problem = synthetic_model(rows, columns, 0.5, 1);
    SearchOptions options;
    options.method = Method::anneal;
    options.chains = chains;
    options.runner = &runner;
    SearchResult result;
    double seconds = std::numeric_limits<double>::infinity();
    for (auto _ : state) {
      result = search(problem, options);
      seconds = std::min(seconds, result.seconds);
    }
    state.counters["ms"] = 1e3 * seconds;
    state.counters["gap_%"] = 100.0 * result.gap;
    state.counters["evaluations"] = static_cast<double>(result.evaluations);
    state.counters["over_exact_%"] = 100.0 * (result.cost / search(problem, {}).cost - 1.0);
    state.counters["Mevaluations/s"] = static_cast<double>(result.evaluations) / seconds / 1e6;
  });
}

void add_front(std::size_t rows, std::size_t columns) {
  add("front/" + std::to_string(rows) + "x" + std::to_string(columns), [=](benchmark::State& state) {
    const SearchProblem problem = synthetic_model(rows, columns, std::nullopt, 1);
    const double seconds =
        best_seconds(state, 1, [&] { benchmark::DoNotOptimize(pareto_front(problem, 200).data()); });
    state.counters["ms"] = 1e3 * seconds;
  });
}

void add_all(ChainRunner* device) {
  for (const double budget : {0.1, 0.5, 0.8}) {
    add_solver(Method::exact, 224, 7, budget, 1);
    add_solver(Method::exact, 1'000, 100, budget, 1);
    add_solver(Method::exact, 10'000, 100, budget, 1);
  }
  for (const std::size_t rows : {1'000, 10'000}) add_front(rows, 100);
  for (const int threads : {1, 2}) {
    add_solver(Method::anneal, 224, 7, 0.5, threads);
    add_solver(Method::anneal, 1'000, 100, 0.5, threads);
    add_solver(Method::genetic, 224, 7, 0.5, threads);
  }
  for (const double budget : {0.1, 0.8}) {
    add_solver(Method::anneal, 224, 7, budget, 1);
    add_solver(Method::genetic, 224, 7, budget, 1);
  }
  for (const std::size_t rows : {1, 5, 20}) add_solver(Method::bayes, rows, 33, 0.5, 1);
  if (device == nullptr) return;
  for (const std::uint32_t chains : {16, 256, 4096, 16'384}) {
    add_anneal_on_device(224, 7, chains, *device);
    add_anneal_on_device(1'000, 100, chains, *device);
  }
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  const std::unique_ptr<afp::ChainRunner> device = afp::make_chain_runner({});
  afp::bench::add_all(device.get());
  return afp::bench::run(argc, argv);
}
