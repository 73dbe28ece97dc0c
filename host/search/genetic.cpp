// The genetic solver: a population of whole assignments, each within the budget. A child takes every row from
// one of two parents that won tournaments, a few of its rows mutate, and it is repaired; the best stay.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "host/search/lagrangian.hpp"
#include "host/search/random.hpp"
#include "host/search/run_record.hpp"
#include "host/search/solvers.hpp"
#include "host/search/threads.hpp"
#include "host/search/walk.hpp"

namespace afp::search_detail {
namespace {

constexpr std::uint32_t kPopulation = 64;
constexpr std::uint32_t kElite = 2;
constexpr std::uint32_t kTournament = 3;
constexpr std::uint32_t kMostMutations = 4;       // rows of a child, from 1 on
constexpr std::uint64_t kStaleGenerations = 300;  // without a better individual end the run
constexpr std::uint64_t kWordsStep = std::uint64_t{1}
                                     << 32;  // random numbers of a generation, in Philox steps

struct Individual {
  std::vector<std::uint32_t> choices;
  double value = 0.0;
};

class Population {
 public:
  Population(const Walk& walk, bool budget, const SearchOptions& options)
      : walk_(walk),
        budget_(budget),
        start_(options.seed, Purpose::start),
        breed_(options.seed, Purpose::breed),
        threads_(options),
        members_(kPopulation),
        children_(kPopulation) {
    threads_.each(0, kPopulation, [&](std::size_t i) {
      members_[i].choices = random_choices(i);
      settle(members_[i]);
    });
    rank(members_);
  }

  const Individual& best() const { return members_.front(); }

  void next_generation() {
    ++generation_;
    for (std::uint32_t i = 0; i < kElite; ++i) children_[i] = members_[i];
    threads_.each(kElite, kPopulation, [&](std::size_t i) { breed(i); });
    std::swap(members_, children_);
    rank(members_);
  }

 private:
  std::vector<std::uint32_t> random_choices(std::size_t i) const {
    PhiloxSequence random(start_, static_cast<std::uint32_t>(i));
    std::vector<std::uint32_t> choices(walk_.rows());
    for (std::size_t row = 0; row < choices.size(); ++row) choices[row] = any_column(row, random);
    return choices;
  }
  std::uint32_t any_column(std::size_t row, PhiloxSequence& random) const {
    const auto available = walk_.available(row);
    return available[random.below(static_cast<std::uint32_t>(available.size()))];
  }

  void settle(Individual& individual) const {
    individual.value = budget_ ? walk_.repair(individual.choices) : walk_.value(individual.choices.data());
  }

  const Individual& win_tournament(PhiloxSequence& random) const {
    std::uint32_t best = kPopulation;  // members are ranked
    for (std::uint32_t i = 0; i < kTournament; ++i) best = std::min(best, random.below(kPopulation));
    return members_[best];
  }

  void breed(std::size_t i) {
    PhiloxSequence random(breed_, static_cast<std::uint32_t>(i), generation_ * kWordsStep);
    const Individual& mother = win_tournament(random);
    const Individual& father = win_tournament(random);
    std::vector<std::uint32_t>& choices = children_[i].choices;
    choices.resize(walk_.rows());
    std::uint32_t coins = 0;
    for (std::size_t row = 0; row < choices.size(); ++row) {
      if (row % 32 == 0) coins = random.next();
      choices[row] = ((coins >> (row % 32)) & 1) != 0 ? mother.choices[row] : father.choices[row];
    }
    const auto free_rows = static_cast<std::uint32_t>(walk_.free_rows().size());
    for (std::uint32_t left = 1 + random.below(kMostMutations); left > 0; --left) {
      const std::uint32_t row = walk_.free_rows()[random.below(free_rows)];
      choices[row] = any_column(row, random);
    }
    settle(children_[i]);
  }

  static void rank(std::vector<Individual>& members) {
    std::stable_sort(members.begin(), members.end(),
                     [](const Individual& a, const Individual& b) { return a.value < b.value; });
  }

  const Walk& walk_;
  bool budget_;
  Philox start_, breed_;
  Threads threads_;
  std::vector<Individual> members_, children_;  // ranked; the next ones
  std::uint64_t generation_ = 0;
};

std::uint64_t default_evaluations(const SearchProblem& problem) {
  return std::clamp<std::uint64_t>(1'000'000'000 / std::max<std::size_t>(1, problem.costs.size()), 2'000,
                                   60'000);
}

}  // namespace

SearchResult evolve(const SearchProblem& problem, const SearchOptions& options) {
  RunRecord record(options);
  record.throw_if_stopped();
  const Walk walk(problem);
  const double bound = dual_bound(problem).bound;
  if (walk.free_rows().empty())
    return record.finish(problem, {walk.smallest().begin(), walk.smallest().end()}, 0, bound);

  const std::uint64_t most = options.evaluations != 0 ? options.evaluations : default_evaluations(problem);
  Population population(walk, problem.budget.has_value(), options);
  std::uint64_t evaluations = kPopulation;
  record.found(evaluations, population.best().value);
  for (std::uint64_t stale = 0; evaluations < most && stale < kStaleGenerations; ++stale) {
    record.throw_if_stopped();
    const double before = population.best().value;
    population.next_generation();
    evaluations += kPopulation - kElite;
    if (population.best().value < before) stale = 0;
    record.found(evaluations, population.best().value);
  }
  const std::vector<std::uint32_t>& best = population.best().choices;
  return record.finish(problem, {best.begin(), best.end()}, evaluations, bound);
}

}  // namespace afp::search_detail
