// Bodies of cuda_chain_runner.hpp.
#include "host/cuda/cuda_chain_runner.hpp"

#include <algorithm>

#include "host/cuda/check.hpp"
#include "host/cuda/cuda_backend.hpp"
#include "host/cuda/device.hpp"
#include "host/cuda/places.hpp"

namespace afp::cuda {
namespace {

constexpr std::uint64_t kStepsPerLaunch = 65'536;

}  // namespace

CudaChainRunner::CudaChainRunner(int device) : device_(device) {
  const CurrentDevice current(device_);
  stream_.emplace();
}

// The device may have failed: what cannot be freed then goes with the process.
CudaChainRunner::~CudaChainRunner() {
  int former = 0;
  const bool is_known = cudaGetDevice(&former) == cudaSuccess;
  (void)cudaSetDevice(device_);
  memory_.release();
  stream_.reset();
  if (is_known) (void)cudaSetDevice(former);
}

template <class T>
void CudaChainRunner::read(const T* from, std::span<T> to) {
  if (to.empty()) return;
  check(cudaMemcpyAsync(to.data(), from, to.size_bytes(), cudaMemcpyDeviceToHost, stream_->get()),
        "copying chains from the device");
  stream_->synchronize();
}

template <class T>
void CudaChainRunner::write(std::span<const T> from, T* to) {
  if (from.empty()) return;
  check(cudaMemcpyAsync(to, from.data(), from.size_bytes(), cudaMemcpyHostToDevice, stream_->get()),
        "copying chains to the device");
  stream_->synchronize();
}

void CudaChainRunner::start(const AnnealingProblem& problem, std::span<const ChainState> states,
                            std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) {
  const CurrentDevice current(device_);
  memory_.release();
  task_ = {};
  task_.problem = problem;
  task_.chains = static_cast<std::uint32_t>(states.size());
  const auto place = [&](std::byte* memory) {
    Places places(memory);
    const auto copy = [&]<class T>(const T*& pointer, const T* from, std::size_t count) {
      T* const to = places.take<T>(count);
      if (memory != nullptr) write(std::span(from, count), to);
      pointer = to;
    };
    const auto copy_chains = [&]<class T>(T*& pointer, std::span<const T> from) {
      pointer = places.take<T>(from.size());
      if (memory != nullptr) write(from, pointer);
    };
    const std::size_t cells = problem.rows * problem.table.columns;
    const MoveGraph& moves = problem.moves;
    copy(task_.problem.table.values, problem.table.values, cells);
    copy(task_.problem.table.bytes, problem.table.bytes, cells);
    copy(task_.problem.moves.places, moves.places, moves.place_count);
    copy(task_.problem.moves.columns, moves.columns, moves.column_count);
    copy(task_.problem.moves.bridges, moves.bridges, moves.bridge_count);
    copy(task_.problem.moves.place_of, moves.place_of, moves.place_of_count);
    copy(task_.problem.neighbourhood_of, problem.neighbourhood_of, problem.rows);
    copy(task_.problem.free_rows, problem.free_rows, problem.free_row_count);
    copy_chains(task_.states, states);
    copy_chains(task_.choices, choices);
    copy_chains(task_.best, best);
    return places.bytes();
  };
  memory_ = DeviceBuffer(place(nullptr), stream_->get(), meter_);
  place(memory_.data());
}

void CudaChainRunner::run(const AnnealingLevel& level, std::uint64_t first_step,
                          const std::atomic<bool>* stop, std::span<ChainState> states) {
  const CurrentDevice current(device_);
  kernels::AnnealChains task = task_;
  task.level = level;
  task.first_step = first_step;
  std::uint64_t left = level.steps;
  do {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) return;
    task.level.steps = std::min(left, kStepsPerLaunch);
    left -= task.level.steps;
    task.sums_up = left == 0;
    check(kernels::anneal_chains(task, stream_->get()), "starting chains");
    stream_->synchronize();
    task.first_step += task.level.steps;
  } while (left > 0);
  read(task_.states, states);
}

void CudaChainRunner::read_choices(std::size_t chain, std::span<std::uint32_t> choices) {
  const CurrentDevice current(device_);
  read(task_.choices + chain * task_.problem.rows, choices);
}

void CudaChainRunner::read_best(std::size_t chain, std::span<std::uint32_t> best) {
  const CurrentDevice current(device_);
  read(task_.best + chain * task_.problem.rows, best);
}

void CudaChainRunner::write_best(std::size_t chain, double value, std::span<const std::uint32_t> best) {
  const CurrentDevice current(device_);
  write(best, task_.best + chain * task_.problem.rows);
  write(std::span<const double>(&value, 1), &task_.states[chain].best_value);
}

}  // namespace afp::cuda

namespace afp {

std::unique_ptr<ChainRunner> make_cuda_chain_runner(int device) {
  return std::make_unique<cuda::CudaChainRunner>(device);
}

}  // namespace afp
