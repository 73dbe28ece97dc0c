// Where the chains of annealing run. The solver's own threads are one place; a device brings another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "afp/annealing.hpp"
#include "afp/backend_choice.hpp"

namespace afp {

// Chains are numbered from 0; an assignment is a column for every row. A runner's results are those of
// anneal_step() at every step of every chain, and of sum_up() where a level ends: byte for byte, so a
// search's result does not show where its chains ran.
//
// The solver calls from one thread at a time. What a runner throws, search() throws.
class ChainRunner {
 public:
  ChainRunner() = default;
  ChainRunner(const ChainRunner&) = delete;
  ChainRunner& operator=(const ChainRunner&) = delete;
  virtual ~ChainRunner() = default;

  // Begins a run of states.size() chains; ends an earlier one. `choices` [chain][row] are their assignments.
  // `best` [chain][row] has each one's best, but for chains whose at_best is 1. What the problem points to
  // lives until the run ends, the spans until the call returns.
  virtual void start(const AnnealingProblem& problem, std::span<const ChainState> states,
                     std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) = 0;

  // Takes the level's steps, numbered from `first_step` on, sums up, and gives back the states. Returns
  // early, with states that mean nothing, once `stop` (null: never) is true.
  virtual void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop,
                   std::span<ChainState> states) = 0;

  // After run(): a chain's assignment and its best one.
  virtual void read_choices(std::size_t chain, std::span<std::uint32_t> choices) = 0;
  virtual void read_best(std::size_t chain, std::span<std::uint32_t> best) = 0;

  // A better best than the chain has seen itself; the chain stays where it is.
  virtual void write_best(std::size_t chain, double value, std::span<const std::uint32_t> best) = 0;
};

// On the first of the devices that make_backend of afp/backend.hpp would choose; null where that is the CPU,
// whose threads search() uses of itself. Throws as make_backend does; from the runner's calls comes
// DeviceError where its device fails or has too little memory: 16 bytes a row and column, 8 a row and chain.
std::unique_ptr<ChainRunner> make_chain_runner(const BackendChoice& choice);

}  // namespace afp
