// Runs the chains of annealing on the solver's threads.
#pragma once

#include <cstdint>
#include <vector>

#include "afp/chain_runner.hpp"
#include "host/search/threads.hpp"

namespace afp::search_detail {

class ThreadRunner final : public ChainRunner {
 public:
  // The threads must live as long.
  explicit ThreadRunner(Threads& threads) : threads_(threads) {}

  void start(const AnnealingProblem& problem, std::span<const ChainState> states,
             std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) override;
  void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop,
           std::span<ChainState> states) override;
  void read_choices(std::size_t chain, std::span<std::uint32_t> choices) override;
  void read_best(std::size_t chain, std::span<std::uint32_t> best) override;
  void write_best(std::size_t chain, double value, std::span<const std::uint32_t> best) override;

 private:
  void run_group(std::size_t first, const AnnealingLevel& level, std::uint64_t first_step,
                 const std::atomic<bool>* stop);
  std::uint32_t* choices(std::size_t chain) { return choices_.data() + chain * problem_.rows; }
  std::uint32_t* best(std::size_t chain) { return best_.data() + chain * problem_.rows; }

  Threads& threads_;
  AnnealingProblem problem_;
  std::vector<ChainState> states_;
  std::vector<std::uint32_t> choices_, best_;  // [chain][row]
};

}  // namespace afp::search_detail
