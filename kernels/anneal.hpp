// Steps of the chains of annealing: the way of each is, bit for bit, that of afp/annealing.hpp.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/annealing.hpp"

namespace afp::kernels {

struct AnnealChains {
  AnnealingProblem problem;  // of device pointers
  AnnealingLevel level;      // whose steps, or as many of them as this launch takes, are numbered from
  std::uint64_t first_step;  // here on
  bool sums_up;              // after the steps: these are a level's last
  std::uint32_t chains;
  ChainState* states;      // [chain]
  std::uint32_t* choices;  // [chain][row]
  std::uint32_t* best;     // [chain][row]; of a chain that is at its best, what it was before
};
cudaError_t anneal_chains(const AnnealChains& task, cudaStream_t stream);

}  // namespace afp::kernels
