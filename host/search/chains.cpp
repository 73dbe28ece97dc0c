#include "host/search/chains.hpp"

#include <algorithm>

#include "host/search/acceptance.hpp"

namespace afp::search_detail {

Chains::Chains(const Walk& walk, std::uint32_t first, std::size_t count, std::uint64_t seed,
               int most_rejections)
    : walk_(walk),
      first_(first),
      moves_(seed, Purpose::move),
      most_rejections_(most_rejections),
      choices_(count * walk.rows()),
      bytes_(count),
      values_(count),
      rejections_(count, 0),
      words_(count),
      proposals_(count),
      deltas_(count),
      best_(count, walk.smallest()),
      best_value_(count, walk.value(walk.smallest().data())),
      at_best_(count, 0) {
  const Philox start(seed, Purpose::start);
  for (std::size_t chain = 0; chain < count; ++chain) {
    PhiloxSequence random(start, first_ + static_cast<std::uint32_t>(chain));
    for (std::size_t row = 0; row < walk.rows(); ++row) {
      const auto available = walk.neighbourhood(row).available();
      choices(chain)[row] = available[random.below(static_cast<std::uint32_t>(available.size()))];
    }
    sum_up(chain);
  }
}

void Chains::run(const Level& level, std::uint64_t first_step, const std::atomic<bool>* stop) {
  const ChainStates states{choices_.data(), bytes_.data(), values_.data(), walk_.rows(), count()};
  for (std::uint64_t step = first_step; step < first_step + level.steps; ++step) {
    if (step % 1024 == 0 && stop != nullptr && stop->load(std::memory_order_relaxed)) return;
    for (std::size_t chain = 0; chain < count(); ++chain) {
      words_[chain] = moves_(first_ + static_cast<std::uint32_t>(chain), step);
      proposals_[chain] = walk_.draw(choices(chain), words_[chain]);
    }
    score_proposals(walk_.table(), states, proposals_, level.over_price, deltas_);
    for (std::size_t chain = 0; chain < count(); ++chain) {
      if (stands(chain)) continue;
      decide(chain, level.temperature);
      ++evaluations_;
    }
  }
  for (std::size_t chain = 0; chain < count(); ++chain) {
    sum_up(chain);
    if (bytes_[chain] > walk_.table().budget) repair(chain);
  }
}

void Chains::decide(std::size_t chain, double temperature) {
  const Proposal& proposal = proposals_[chain];
  const ProposalDelta& delta = deltas_[chain];
  std::uint32_t& choice = choices(chain)[proposal.row];
  if (!accepts(delta.energy, temperature, unit(words_[chain][3]))) {
    ++rejections_[chain];
    return;
  }
  rejections_[chain] = 0;
  if (choice == proposal.column) return;
  const bool better = delta.value < 0.0 && delta.bytes <= walk_.table().budget;
  if (at_best_[chain] && !better) copy_best(chain);
  choice = proposal.column;
  values_[chain] += delta.value;
  bytes_[chain] = delta.bytes;
  note_best(chain);
}

// Value and bytes afresh, without the rounding of many small changes.
void Chains::sum_up(std::size_t chain) {
  copy_best(chain);
  values_[chain] = walk_.value(choices(chain));
  bytes_[chain] = walk_.bytes(choices(chain));
  note_best(chain);
  copy_best(chain);
}

void Chains::note_best(std::size_t chain) {
  if (bytes_[chain] > walk_.table().budget || !(values_[chain] < best_value_[chain])) return;
  best_value_[chain] = values_[chain];
  at_best_[chain] = 1;
}

// Late, when the chain leaves its best assignment: on its way down each is the best for one step.
void Chains::copy_best(std::size_t chain) {
  if (!at_best_[chain]) return;
  best_[chain].assign(choices(chain), choices(chain) + walk_.rows());
  best_value_[chain] = walk_.value(best_[chain].data());
  at_best_[chain] = 0;
}

// What the chain is near to within the budget; the chain itself stays where it is.
void Chains::repair(std::size_t chain) {
  std::vector<std::uint32_t> repaired(choices(chain), choices(chain) + walk_.rows());
  const double value = walk_.repair(repaired);
  if (!(value < best_value_[chain])) return;
  best_value_[chain] = value;
  best_[chain] = std::move(repaired);
}

std::size_t Chains::best_chain() const {
  return static_cast<std::size_t>(std::min_element(best_value_.begin(), best_value_.end()) -
                                  best_value_.begin());
}

}  // namespace afp::search_detail
