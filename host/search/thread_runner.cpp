#include "host/search/thread_runner.hpp"

#include <algorithm>
#include <array>

namespace afp::search_detail {
namespace {

// Chains that a thread steps together, so that the look-ups of one wait beside those of the others.
constexpr std::size_t kGroup = 4;
constexpr std::uint64_t kStepsBetweenLooks = 1024;  // at `stop`

}  // namespace

void ThreadRunner::start(const AnnealingProblem& problem, std::span<const ChainState> states,
                         std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) {
  problem_ = problem;
  states_.assign(states.begin(), states.end());
  choices_.assign(choices.begin(), choices.end());
  best_.assign(best.begin(), best.end());
}

void ThreadRunner::run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop,
                       std::span<ChainState> states) {
  threads_.each(0, (states_.size() + kGroup - 1) / kGroup,
                [&](std::size_t group) { run_group(group * kGroup, level, first_step, stop); });
  std::copy(states_.begin(), states_.end(), states.begin());
}

void ThreadRunner::run_group(std::size_t first, const AnnealingLevel& level, std::uint64_t first_step,
                             const std::atomic<bool>* stop) {
  const std::size_t count = std::min(kGroup, states_.size() - first);
  std::array<ChainState, kGroup> states;
  std::copy_n(states_.begin() + static_cast<std::ptrdiff_t>(first), count, states.begin());
  const auto choices_of = [&](std::size_t i) { return choices(first + i); };
  const auto keep_best_of = [&](std::size_t i) {
    return [&, i](bool leaves) {
      if (!leaves) return;
      std::copy_n(choices(first + i), problem_.rows, best(first + i));
      states[i].best_value = assignment_value(problem_.table, problem_.rows, best(first + i));
      states[i].at_best = 0;
    };
  };
  for (std::uint64_t step = first_step; step < first_step + level.steps; ++step) {
    if (step % kStepsBetweenLooks == 0 && stop != nullptr && stop->load(std::memory_order_relaxed)) return;
    anneal_step<kGroup>(problem_, level, step, static_cast<std::uint32_t>(first), count, states.data(),
                        choices_of, keep_best_of);
  }
  for (std::size_t i = 0; i < count; ++i) {
    sum_up(problem_, states[i], choices(first + i), keep_best_of(i));
    states_[first + i] = states[i];
  }
}

void ThreadRunner::read_choices(std::size_t chain, std::span<std::uint32_t> to) {
  std::copy_n(choices(chain), problem_.rows, to.begin());
}

void ThreadRunner::read_best(std::size_t chain, std::span<std::uint32_t> to) {
  std::copy_n(best(chain), problem_.rows, to.begin());
}

void ThreadRunner::write_best(std::size_t chain, double value, std::span<const std::uint32_t> from) {
  states_[chain].best_value = value;
  std::copy_n(from.begin(), problem_.rows, best(chain));
}

}  // namespace afp::search_detail
