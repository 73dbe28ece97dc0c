#include "host/search/chains.hpp"

#include <algorithm>
#include <utility>

#include "host/search/random.hpp"

namespace afp::search_detail {
namespace {

// After a level. A repair takes as long as thousands of steps: those of all of many chains would take longer
// than the steps do.
constexpr std::size_t kMostRepairs = 16;

}  // namespace

Chains::Chains(const Walk& walk, std::size_t count, std::uint64_t seed, std::uint32_t most_rejections,
               Threads& threads, ChainRunner& runner)
    : walk_(walk), threads_(threads), runner_(runner), states_(count) {
  AnnealingProblem problem = walk.problem();
  problem.seed = seed;
  problem.most_rejections = most_rejections;

  const Philox start(seed, Purpose::start);
  const double smallest = walk.value(walk.smallest().data());
  std::vector<std::uint32_t> choices(count * walk.rows()), best(count * walk.rows());
  threads.each(0, count, [&](std::size_t chain) {
    std::uint32_t* const own = choices.data() + chain * walk.rows();
    std::uint32_t* const own_best = best.data() + chain * walk.rows();
    PhiloxSequence random(start, static_cast<std::uint32_t>(chain));
    for (std::size_t row = 0; row < walk.rows(); ++row) {
      const auto available = walk.available(row);
      own[row] = available[random.below(static_cast<std::uint32_t>(available.size()))];
    }
    std::copy(walk.smallest().begin(), walk.smallest().end(), own_best);
    states_[chain].best_value = smallest;
    sum_up(problem, states_[chain], own, [&](bool at_best) {
      if (!at_best) return;
      std::copy_n(own, walk.rows(), own_best);
      states_[chain].best_value = states_[chain].value;
      states_[chain].at_best = 0;
    });
  });
  runner.start(problem, states_, choices, best);
}

void Chains::run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop) {
  runner_.run(level, first_step, stop, states_);
  if (stop == nullptr || !stop->load(std::memory_order_relaxed)) repair(level.over_price);
}

std::vector<std::uint32_t> Chains::to_repair(double over_price) const {
  std::vector<std::pair<double, std::uint32_t>> over;  // energy, chain
  for (std::uint32_t chain = 0; chain < states_.size(); ++chain) {
    const ChainState& state = states_[chain];
    if (state.bytes > walk_.table().budget)
      over.emplace_back(state.value + over_price * bytes_over(state.bytes, walk_.table().budget), chain);
  }
  if (over.size() > kMostRepairs) {
    std::nth_element(over.begin(), over.begin() + kMostRepairs, over.end());
    over.resize(kMostRepairs);
  }
  std::vector<std::uint32_t> chains;
  for (const auto& [energy, chain] : over) chains.push_back(chain);
  return chains;
}

// A chain's best is what it is near to within the budget, where that is better; the chain stays where it is.
void Chains::repair(double over_price) {
  const std::vector<std::uint32_t> chains = to_repair(over_price);
  std::vector<std::vector<std::uint32_t>> repaired(chains.size(), std::vector<std::uint32_t>(walk_.rows()));
  std::vector<double> values(chains.size());
  for (std::size_t i = 0; i < chains.size(); ++i) runner_.read_choices(chains[i], repaired[i]);
  threads_.each(0, chains.size(), [&](std::size_t i) { values[i] = walk_.repair(repaired[i]); });
  for (std::size_t i = 0; i < chains.size(); ++i) {
    ChainState& state = states_[chains[i]];
    if (!(values[i] < state.best_value)) continue;
    state.best_value = values[i];
    runner_.write_best(chains[i], values[i], repaired[i]);
  }
}

std::uint64_t Chains::evaluations() const {
  std::uint64_t sum = 0;
  for (const ChainState& state : states_) sum += state.steps;
  return sum;
}

std::size_t Chains::best_chain() const {
  const auto less = [](const ChainState& a, const ChainState& b) { return a.best_value < b.best_value; };
  return static_cast<std::size_t>(std::min_element(states_.begin(), states_.end(), less) - states_.begin());
}

std::vector<std::uint32_t> Chains::best(std::size_t chain) const {
  std::vector<std::uint32_t> best(walk_.rows());
  runner_.read_best(chain, best);
  return best;
}

}  // namespace afp::search_detail
