// The chains of a run of annealing, wherever they are stepped: where each begins, and what is repaired.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "afp/chain_runner.hpp"
#include "host/search/threads.hpp"
#include "host/search/walk.hpp"

namespace afp::search_detail {

class Chains {
 public:
  // Each from an assignment of its own that the seed draws. A chain that has rejected `most_rejections` moves
  // one after another stands still from then on; 0: none does. All but `walk` and `seed` changes no way that
  // a chain goes.
  Chains(const Walk& walk, std::size_t count, std::uint64_t seed, std::uint32_t most_rejections,
         Threads& threads, ChainRunner& runner);

  // Steps numbered from `first_step` on; then, of the chains that are outside the budget, the 16 of the least
  // energy are repaired. Returns early, with chains of no further use, once `stop` is true.
  void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop);

  std::uint64_t evaluations() const;
  std::size_t best_chain() const;  // of the least value
  double best_value(std::size_t chain) const { return states_[chain].best_value; }
  std::vector<std::uint32_t> best(std::size_t chain) const;

 private:
  void repair(double over_price);
  std::vector<std::uint32_t> to_repair(double over_price) const;

  const Walk& walk_;
  Threads& threads_;
  ChainRunner& runner_;
  std::vector<ChainState> states_;
};

}  // namespace afp::search_detail
