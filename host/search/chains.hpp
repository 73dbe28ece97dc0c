// Chains of annealing that one thread steps together.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "host/search/random.hpp"
#include "host/search/walk.hpp"

namespace afp::search_detail {

// A stretch of the schedule.
struct Level {
  double temperature;
  double over_price;    // of a byte beyond the budget
  std::uint64_t steps;  // of every chain
};

class Chains {
 public:
  // Chains `first`.. of a run, each from an assignment of its own that the seed draws. A chain that has
  // rejected `most_rejections` moves one after another stands still from then on; 0: none does.
  Chains(const Walk& walk, std::uint32_t first, std::size_t count, std::uint64_t seed, int most_rejections);

  // Steps numbered from `first_step` on. Returns early, at any point, once `stop` is true.
  void run(const Level& level, std::uint64_t first_step, const std::atomic<bool>* stop);

  std::uint64_t evaluations() const { return evaluations_; }
  std::size_t best_chain() const;  // of the least value
  double best_value(std::size_t chain) const { return best_value_[chain]; }
  const std::vector<std::uint32_t>& best(std::size_t chain) const { return best_[chain]; }

 private:
  std::size_t count() const { return values_.size(); }
  std::uint32_t* choices(std::size_t chain) { return choices_.data() + chain * walk_.rows(); }
  bool stands(std::size_t chain) const {
    return most_rejections_ > 0 && rejections_[chain] >= most_rejections_;
  }

  void decide(std::size_t chain, double temperature);
  void sum_up(std::size_t chain);
  void note_best(std::size_t chain);
  void copy_best(std::size_t chain);
  void repair(std::size_t chain);

  const Walk& walk_;
  std::uint32_t first_;
  Philox moves_;
  int most_rejections_;

  std::vector<std::uint32_t> choices_;  // [chain][row]
  std::vector<std::uint64_t> bytes_;
  std::vector<double> values_;
  std::vector<int> rejections_;
  std::vector<std::array<std::uint32_t, 4>> words_;
  std::vector<Proposal> proposals_;
  std::vector<ProposalDelta> deltas_;

  std::vector<std::vector<std::uint32_t>> best_;
  std::vector<double> best_value_;
  std::vector<char> at_best_;  // the chain is where best_value_ says, which best_ does not hold yet
  std::uint64_t evaluations_ = 0;
};

}  // namespace afp::search_detail
