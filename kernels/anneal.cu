// A thread a chain, a warp a block, all steps of a launch in one go: the state stays in registers.
//
// The ceiling is latency. A step is one chain of dependent work: ten rounds of Philox; eight look-ups that
// lead from the row to its new column; four of the table at once; the logarithm that decides. On an H200 that
// is about 130 cycles; 8 x 35 cycles (first-level cache), up to 270 where one misses it; 270 (second-level
// cache); and 300: 1000 to 1500 cycles, somewhat less than a microsecond, whatever else the device does. So a
// chain takes a million steps a second, 100 chains 100 M, and 4096 chains, a warp on each of 128
// multiprocessors, about 4 G. A step is 350 instructions of a warp, of which a multiprocessor issues four a
// cycle: arithmetic would count beyond ten warps there, 40,000 chains.
//
// Assignments lie chain by chain, as on the host: every lane draws a row of its own, so no order would make
// one access of a warp's, and what a chain needs stays near: a warp's assignments, 128 bytes a row, fit the
// first-level cache up to 1500 rows. The table, 16 bytes a row and column, stays in the second-level cache.
//
// Where a chain leaves its best assignment, at most once in thousands of steps, its warp copies it together.
#include "kernels/anneal.hpp"
#include "kernels/device.hpp"

namespace afp::kernels {
namespace {

// Copies a chain's assignment and adds up its value in the order of rows. Of the lanes 0..count-1 of a warp,
// which all call and all get the sum.
__device__ double copy_assignment(const AnnealingProblem& problem, const std::uint32_t* from,
                                  std::uint32_t* to, unsigned lanes, unsigned count) {
  constexpr unsigned kTiles = 4;  // rows that a lane looks up at once
  const unsigned lane = threadIdx.x;
  double sum = 0.0;
  for (std::size_t first = 0; first < problem.rows; first += std::size_t{kTiles} * count) {
    double values[kTiles];
#pragma unroll
    for (unsigned tile = 0; tile < kTiles; ++tile) {
      const std::size_t row = first + tile * count + lane;
      values[tile] = 0.0;
      if (row >= problem.rows) continue;
      const std::uint32_t column = from[row];
      to[row] = column;
      values[tile] = problem.table.values[row * problem.table.columns + column];
    }
#pragma unroll
    for (unsigned tile = 0; tile < kTiles; ++tile)
      for (unsigned source = 0; source < count; ++source)  // beyond the last row zeros, which change no sum
        sum += __shfl_sync(lanes, values[tile], static_cast<int>(source));
  }
  return sum;
}

__global__ void __launch_bounds__(kWarp) step_chains(AnnealChains task) {
  const AnnealingProblem& problem = task.problem;
  const std::uint32_t first_chain = blockIdx.x * kWarp, chain = first_chain + threadIdx.x;
  const unsigned count = min(task.chains - first_chain, static_cast<std::uint32_t>(kWarp));
  if (threadIdx.x >= count) return;
  const unsigned lanes = kAllLanes >> (kWarp - count);

  ChainState state = task.states[chain];
  std::uint32_t* const choices = task.choices + chain * problem.rows;
  const auto choices_of = [&](std::size_t) { return choices; };
  const auto keep_best = [&](bool leaves) {
    unsigned leaving = __ballot_sync(lanes, leaves);
    if (leaving == 0) return;
    __syncwarp(lanes);  // the lanes see each other's assignments
    for (; leaving != 0; leaving &= leaving - 1) {
      const auto owner = static_cast<unsigned>(__ffs(static_cast<int>(leaving)) - 1);
      const std::size_t begin = (std::size_t{first_chain} + owner) * problem.rows;
      const double value = copy_assignment(problem, task.choices + begin, task.best + begin, lanes, count);
      if (threadIdx.x != owner) continue;
      state.best_value = value;
      state.at_best = 0;
    }
    __syncwarp(lanes);  // before an owner goes on to change its own
  };
  const auto keep_best_of = [&](std::size_t) { return keep_best; };

  for (std::uint64_t step = task.first_step; step < task.first_step + task.level.steps; ++step)
    anneal_step<1>(problem, task.level, step, chain, 1, &state, choices_of, keep_best_of);
  if (task.sums_up) sum_up(problem, state, choices, keep_best);
  task.states[chain] = state;
}

}  // namespace

cudaError_t anneal_chains(const AnnealChains& task, cudaStream_t stream) {
  return launch(step_chains, dim3((task.chains + kWarp - 1) / kWarp), dim3(kWarp), 0, stream, task);
}

}  // namespace afp::kernels
