// Simulated annealing: many chains that do not know of each other, each a walk through whole assignments.
//
// With a budget a chain may leave it, at a price of every byte beyond, which grows from the Lagrange
// multiplier, at which a byte costs what it is worth, to twice that, at which no chain stays there for long.
// What is kept as best is within the budget; where a chain ends a level of temperature outside, its
// assignment repaired.
#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "host/search/chains.hpp"
#include "host/search/lagrangian.hpp"
#include "host/search/random.hpp"
#include "host/search/run_record.hpp"
#include "host/search/solvers.hpp"
#include "host/search/thread_runner.hpp"
#include "host/search/threads.hpp"
#include "host/search/walk.hpp"

namespace afp::search_detail {
namespace {

constexpr std::uint32_t kMostChains = 16;  // where nobody says how many
constexpr std::uint64_t kFewSteps = 1000;  // a chain should make at least, before there is a second one

// From ten times the median change of value down to a hundred-thousandth of it, at the last to 0; the price
// of a byte grows to twice its worth.
constexpr std::size_t kLevels = 60;
constexpr double kFirstOfMedian = 10.0;
constexpr double kCooling = 0.79123;     // to the power of 59: 1.0e-6
constexpr double kPriceGrowth = 1.0118;  // to the power of 59: 2.0

// The original's.
constexpr double kFirstTemperature = 100.0, kLastTemperature = 1.0, kOriginalCooling = 0.8;
constexpr std::uint32_t kMostRejections = 5;

struct Schedule {
  std::vector<AnnealingLevel> levels;
  std::uint32_t chains = 1;
  std::uint32_t most_rejections = 0;
};

// The median of what moves change, where they change anything, from random columns.
double median_change(const Walk& walk, std::uint64_t seed) {
  constexpr std::uint64_t kSamples = 4096;
  const AnnealingProblem problem = walk.problem();
  const Philox draw(seed, Purpose::sample);
  std::vector<std::uint32_t> choices = walk.smallest();
  std::vector<double> changes;
  for (std::uint64_t sample = 0; sample < kSamples; ++sample) {
    const auto [word_0, word_1, word_2, word_3] = draw(0, sample);
    const std::uint32_t row =
        walk.free_rows()[draw_below(problem.free_row_count, word_0)];  // of the proposal
    const auto available = walk.available(row);
    choices[row] = available[draw_below(static_cast<std::uint32_t>(available.size()), word_3)];
    const Proposal move = draw_proposal(problem, choices.data(), {{word_0, word_1, word_2, word_3}});
    const double* values = walk.table().values + row * walk.table().columns;
    const double change = values[move.column] - values[choices[row]];
    if (change != 0.0) changes.push_back(change < 0.0 ? -change : change);
  }
  if (changes.empty()) return 0.0;
  const auto middle = changes.begin() + static_cast<std::ptrdiff_t>(changes.size() / 2);
  std::nth_element(changes.begin(), middle, changes.end());
  return *middle;
}

// As many as are asked for, or else as make `steps` each of `total`.
std::uint32_t chain_count(const SearchOptions& options, std::uint64_t total, std::uint64_t steps) {
  if (options.chains != 0) return options.chains;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(total / steps, 1, kMostChains));
}

// Moves of all chains that suit the problem's size.
std::uint64_t default_moves(const Walk& walk, std::uint32_t chains) {
  const std::uint64_t cells = walk.rows() * walk.table().columns;
  const std::uint64_t most = std::min<std::uint64_t>(20'000 * cells, 10'000'000 + 200 * cells);
  return chains <= kMostChains ? most : most / kMostChains * chains;
}

Schedule scaled_schedule(const Walk& walk, double byte_price, const SearchOptions& options) {
  const std::uint64_t total =
      options.evaluations != 0 ? options.evaluations : default_moves(walk, options.chains);
  Schedule schedule;
  schedule.chains = chain_count(options, total, kFewSteps);
  const std::uint64_t steps = std::max<std::uint64_t>(1, total / schedule.chains);
  AnnealingLevel level{kFirstOfMedian * median_change(walk, options.seed), byte_price, 0};
  for (std::size_t i = 0; i < kLevels; ++i) {
    level.steps = steps * (i + 1) / kLevels - steps * i / kLevels;
    if (i + 1 == kLevels) level.temperature = 0.0;
    if (level.steps > 0) schedule.levels.push_back(level);
    level.temperature *= kCooling;
    level.over_price *= kPriceGrowth;
  }
  return schedule;
}

// One move of every row a temperature, on average; the original has one row.
Schedule original_schedule(const Walk& walk, double byte_price, const SearchOptions& options) {
  Schedule schedule;
  for (double temperature = kFirstTemperature; temperature >= kLastTemperature;
       temperature *= kOriginalCooling)
    schedule.levels.push_back({temperature, 2.0 * byte_price, walk.free_rows().size()});
  const std::uint64_t steps = schedule.levels.size() * walk.free_rows().size();
  schedule.chains =
      chain_count(options, options.evaluations == 0 ? kMostChains * steps : options.evaluations, steps);
  schedule.most_rejections = kMostRejections;
  return schedule;
}

}  // namespace

SearchResult anneal(const SearchProblem& problem, const SearchOptions& options) {
  RunRecord record(options);
  record.throw_if_stopped();
  const Walk walk(problem);
  const DualBound dual = dual_bound(problem);
  if (walk.free_rows().empty())
    return record.finish(problem, {walk.smallest().begin(), walk.smallest().end()}, 0, dual.bound);

  const Schedule schedule = options.original_schedule ? original_schedule(walk, dual.price, options)
                                                      : scaled_schedule(walk, dual.price, options);
  Threads threads(options);
  ThreadRunner on_threads(threads);
  Chains chains(walk, schedule.chains, options.seed, schedule.most_rejections, threads,
                options.runner != nullptr ? *options.runner : on_threads);
  std::uint64_t first_step = 0;
  for (const AnnealingLevel& level : schedule.levels) {
    chains.run(level, first_step, options.stop);
    record.throw_if_stopped();
    first_step += level.steps;
    record.found(chains.evaluations(), chains.best_value(chains.best_chain()));
  }
  const std::vector<std::uint32_t> best = chains.best(chains.best_chain());
  return record.finish(problem, {best.begin(), best.end()}, chains.evaluations(), dual.bound);
}

}  // namespace afp::search_detail
