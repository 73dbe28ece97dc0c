// Annealing on the device: every chain goes, byte for byte, the way that it goes on the solver's threads.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "afp/backend_choice.hpp"
#include "afp/chain_runner.hpp"
#include "afp/error.hpp"
#include "afp/search.hpp"
#include "cuda_emulator.hpp"
#include "host/cuda/check.hpp"
#include "host/cuda/cuda_chain_runner.hpp"
#include "host/search/chains.hpp"
#include "host/search/thread_runner.hpp"
#include "host/search/walk.hpp"
#include "search_problems.hpp"

namespace afp {
namespace {

using cuda::CudaChainRunner;
using search_detail::Chains;
using search_detail::ThreadRunner;
using search_detail::Threads;
using search_detail::Walk;

class EmulatorSeed {
 public:
  explicit EmulatorSeed(std::uint64_t seed) { cuda_emulator::config().seed = seed; }
  ~EmulatorSeed() { cuda_emulator::config() = {}; }
  EmulatorSeed(const EmulatorSeed&) = delete;
  EmulatorSeed& operator=(const EmulatorSeed&) = delete;
};

SearchOptions threads_option(int threads) {
  SearchOptions options;
  options.threads = threads;
  return options;
}

// Runs the chains on both, and compares all that they are after each level.
class BothRunner final : public ChainRunner {
 public:
  // Of all chains after all levels.
  struct Seen {
    int repaired = 0, over_budget = 0, standing = 0, better = 0, away_from_best = 0;
  } seen;

  void start(const AnnealingProblem& problem, std::span<const ChainState> states,
             std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) override {
    problem_ = problem;
    before_.assign(states.begin(), states.end());
    on_threads_.start(problem, states, choices, best);
    on_device_.start(problem, states, choices, best);
  }

  void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop,
           std::span<ChainState> states) override {
    std::vector<ChainState> expected(states.size());
    on_threads_.run(level, first_step, stop, expected);
    on_device_.run(level, first_step, stop, states);
    for (std::size_t chain = 0; chain < states.size(); ++chain) {
      const ChainState &found = states[chain], &wanted = expected[chain];
      ASSERT_EQ(found.steps, wanted.steps) << chain;
      ASSERT_EQ(found.rejections, wanted.rejections) << chain;
      ASSERT_EQ(found.bytes, wanted.bytes) << chain;
      ASSERT_EQ(std::memcmp(&found, &wanted, sizeof found), 0) << chain;
      const auto choices = [&](ChainRunner& runner) {
        std::vector<std::uint32_t> columns(problem_.rows);
        runner.read_choices(chain, columns);
        return columns;
      };
      const auto best = [&](ChainRunner& runner) {
        std::vector<std::uint32_t> columns(problem_.rows);
        runner.read_best(chain, columns);
        return columns;
      };
      ASSERT_EQ(choices(on_device_), choices(on_threads_)) << chain;
      ASSERT_EQ(best(on_device_), best(on_threads_)) << chain;
      seen.over_budget += found.bytes > problem_.table.budget;
      seen.standing += problem_.most_rejections > 0 && found.rejections >= problem_.most_rejections;
      seen.better += found.best_value < before_[chain].best_value;
      seen.away_from_best += found.best_value != found.value;
    }
    before_ = expected;
  }

  void read_choices(std::size_t chain, std::span<std::uint32_t> choices) override {
    on_device_.read_choices(chain, choices);
  }
  void read_best(std::size_t chain, std::span<std::uint32_t> best) override {
    on_device_.read_best(chain, best);
  }
  void write_best(std::size_t chain, double value, std::span<const std::uint32_t> best) override {
    on_threads_.write_best(chain, value, best);
    on_device_.write_best(chain, value, best);
    ++seen.repaired;
  }

 private:
  Threads threads_{threads_option(1)};
  ThreadRunner on_threads_{threads_};
  CudaChainRunner on_device_{0};
  AnnealingProblem problem_;
  std::vector<ChainState> before_;
};

// A whole schedule of 60 levels, or the original's of 21.
TEST(AnnealKernel, ASearchGoesTheSameWay) {
  std::uint64_t number = 0;
  int standing = 0;
  for (const bool original : {false, true})
    for (const std::optional<double> budget :
         {std::optional<double>(), std::optional(0.1), std::optional(0.6)})
      for (const auto& [rows, columns, chains] :
           {std::array<std::uint32_t, 3>{1, 3, 1}, {3, 40, 33}, {40, 21, 5}, {131, 7, 32}, {60, 12, 70}}) {
        ++number;
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + ", " + std::to_string(chains) +
                     " chains" + (original ? ", original" : "") + (budget ? ", budget" : ""));
        const EmulatorSeed seed(number % 3);
        SearchProblem problem = model_problem(rows, columns, budget, number);
        if (number % 4 == 0) problem.price = 1e-6;
        SearchOptions options;
        options.method = Method::anneal;
        options.seed = number << 31;
        options.threads = 1;
        options.chains = chains;
        options.evaluations = std::uint64_t{chains} * 600;
        options.original_schedule = original;
        const SearchResult expected = search(problem, options);
        BothRunner runner;
        options.runner = &runner;
        const SearchResult found = search(problem, options);
        if (HasFatalFailure()) return;
        EXPECT_EQ(found.choice, expected.choice);
        EXPECT_EQ(found.cost, expected.cost);
        EXPECT_EQ(found.evaluations, expected.evaluations);
        ASSERT_EQ(found.trace.size(), expected.trace.size());
        for (std::size_t i = 0; i < found.trace.size(); ++i)
          EXPECT_EQ(found.trace[i].cost, expected.trace[i].cost);
        if (rows < 40) continue;
        EXPECT_GT(runner.seen.better, 0);
        EXPECT_GT(runner.seen.away_from_best, 0);
        EXPECT_EQ(runner.seen.over_budget > 0, budget.has_value());
        if (!original) {
          EXPECT_EQ(runner.seen.repaired > 0, budget.has_value());
        }
        if (original) {
          standing += runner.seen.standing;
        } else {
          EXPECT_EQ(runner.seen.standing, 0);
        }
      }
  EXPECT_GT(standing, 100);
}

// Missing columns, pinned rows, several columns at a place, gaps with bridges, equal costs, huge sizes.
TEST(AnnealKernel, AwkwardTables) {
  Random random(31);
  int with_bridges = 0, several_neighbourhoods = 0;
  for (int repeat = 0; repeat < 150; ++repeat) {
    SCOPED_TRACE(repeat);
    const EmulatorSeed seed(random_below(random, 5));
    SearchProblem problem = small_problem(random, static_cast<Costs>(repeat % 6));
    if (repeat % 3 != 0) problem.budget = optimum_of(problem).least_bytes + random_below(random, 20);
    const Walk walk(problem);
    if (walk.free_rows().empty()) continue;
    with_bridges += walk.problem().moves.bridge_count > 0;
    several_neighbourhoods += walk.problem().moves.place_of_count > problem.columns.size();
    Threads threads(threads_option(1));
    BothRunner runner;
    Chains chains(walk, 1 + random_below(random, 40), random(), repeat % 2 == 0 ? 0 : 3, threads, runner);
    std::uint64_t first_step = (1ull << 32) - 30;  // whose high word changes on the way
    for (const double temperature : {1e3, 1.0, 1e-2, 0.0}) {
      chains.run({temperature, random_unit(random), 25}, first_step, nullptr);
      ASSERT_FALSE(HasFatalFailure());
      first_step += 25;
    }
  }
  EXPECT_GT(with_bridges, 20);
  EXPECT_GT(several_neighbourhoods, 20);
}

TEST(AnnealKernel, LevelsOfSeveralLaunches) {
  const SearchProblem problem = model_problem(9, 14, 0.4, 5);
  const Walk walk(problem);
  Threads threads(threads_option(1));
  BothRunner runner;
  Chains chains(walk, 2, 3, 0, threads, runner);
  const std::uint64_t before = cuda_emulator::counters().launches;
  chains.run({1e-3, 1e-9, 65'536}, 0, nullptr);
  EXPECT_EQ(cuda_emulator::counters().launches - before, 1u);
  chains.run({1e-4, 1e-9, 65'537}, 65'536, nullptr);
  EXPECT_EQ(cuda_emulator::counters().launches - before, 3u);
  EXPECT_EQ(chains.evaluations(), 2u * (65'536 + 65'537));
}

// A runner serves one search after another, of other sizes.
TEST(CudaChainRunner, ServesSearchAfterSearch) {
  SearchOptions options;
  options.method = Method::anneal;
  options.evaluations = 2000;
  CudaChainRunner runner(0);
  for (const std::size_t rows : {50, 3, 200}) {
    const SearchProblem problem = model_problem(rows, 8, 0.5, rows);
    options.runner = nullptr;
    const SearchResult expected = search(problem, options);
    options.runner = &runner;
    EXPECT_EQ(search(problem, options).choice, expected.choice);
  }
  EXPECT_GE(runner.peak_memory(), 200u * (16 * 8 + 8 * 2));
  EXPECT_LT(runner.peak_memory(), 200u * (16 * 8 + 8 * 2) * 2);
}

TEST(CudaChainRunner, IsWhatAChoiceOfCudaMakes) {
  const EmulatorSeed restored(0);
  cuda_emulator::config().devices = 2;
  EXPECT_EQ(make_chain_runner({BackendKind::cpu, {}}), nullptr);
  const SearchProblem problem = model_problem(5, 8, 0.5, 4);
  SearchOptions options;
  options.method = Method::anneal;
  options.evaluations = 1000;
  const SearchResult expected = search(problem, options);
  for (const BackendChoice& choice :
       {BackendChoice{BackendKind::automatic, {}}, BackendChoice{BackendKind::cuda, {false, {1}}}}) {
    const std::unique_ptr<ChainRunner> runner = make_chain_runner(choice);
    ASSERT_NE(runner, nullptr);
    options.runner = runner.get();
    const std::uint64_t before = cuda_emulator::counters().launches;
    EXPECT_EQ(search(problem, options).choice, expected.choice);
    EXPECT_GT(cuda_emulator::counters().launches, before);
  }
  cuda_emulator::config().devices = 0;
  EXPECT_EQ(make_chain_runner({}), nullptr);
  EXPECT_THROW((void)make_chain_runner({BackendKind::cuda, {}}), Error);
}

TEST(CudaChainRunner, StopsWhenAsked) {
  const SearchProblem problem = model_problem(9, 14, 0.4, 5);
  const Walk walk(problem);
  Threads threads(threads_option(1));
  CudaChainRunner runner(0);
  Chains chains(walk, 2, 3, 0, threads, runner);
  const std::uint64_t before = cuda_emulator::counters().launches;
  const std::atomic<bool> stop = true;
  chains.run({1.0, 0.0, 1000}, 0, &stop);
  EXPECT_EQ(cuda_emulator::counters().launches, before);
}

TEST(CudaChainRunner, SaysWhatFails) {
  const SearchProblem problem = model_problem(9, 14, 0.4, 5);
  SearchOptions options;
  options.method = Method::anneal;
  options.evaluations = 2000;
  const auto run = [&] {
    CudaChainRunner runner(0);
    options.runner = &runner;
    (void)search(problem, options);
  };
  run();
  EXPECT_EQ(cuda_emulator::leaks(), "");
  const auto failing = [](cuda_emulator::Fault cuda_emulator::Config::*fault, std::uint64_t call) {
    cuda_emulator::reset();
    cuda_emulator::config() = {};
    cuda_emulator::config().*fault = {call, false};
  };
  failing(&cuda_emulator::Config::fail_allocation, 1);
  EXPECT_THROW(run(), cuda::OutOfMemory);
  EXPECT_EQ(cuda_emulator::leaks(), "");
  for (const auto fault : {&cuda_emulator::Config::fail_launch, &cuda_emulator::Config::fail_copy,
                           &cuda_emulator::Config::fail_synchronize})
    for (const std::uint64_t call : {1, 5, 30}) {
      failing(fault, call);
      EXPECT_THROW(run(), DeviceError);
    }
  cuda_emulator::reset();
  cuda_emulator::config() = {};
  run();
}

}  // namespace
}  // namespace afp
