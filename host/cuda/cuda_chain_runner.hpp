// Runs the chains of annealing on a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "afp/chain_runner.hpp"
#include "host/cuda/buffers.hpp"
#include "host/cuda/stream.hpp"
#include "kernels/anneal.hpp"

namespace afp::cuda {

// Throws DeviceError where the device fails, OutOfMemory where its memory is too small: 16 bytes a row and
// column, 8 a row and chain.
class CudaChainRunner final : public ChainRunner {
 public:
  explicit CudaChainRunner(int device);
  ~CudaChainRunner() override;

  void start(const AnnealingProblem& problem, std::span<const ChainState> states,
             std::span<const std::uint32_t> choices, std::span<const std::uint32_t> best) override;
  // Looks at `stop` after every 65536 steps, a fraction of a second.
  void run(const AnnealingLevel& level, std::uint64_t first_step, const std::atomic<bool>* stop,
           std::span<ChainState> states) override;
  void read_choices(std::size_t chain, std::span<std::uint32_t> choices) override;
  void read_best(std::size_t chain, std::span<std::uint32_t> best) override;
  void write_best(std::size_t chain, double value, std::span<const std::uint32_t> best) override;

  std::uint64_t peak_memory() const { return meter_.peak(); }  // bytes of the device

 private:
  template <class T>
  void read(const T* from, std::span<T> to);
  template <class T>
  void write(std::span<const T> from, T* to);

  int device_;
  MemoryMeter meter_;
  std::optional<Stream> stream_;
  DeviceBuffer memory_;
  kernels::AnnealChains task_{};
};

}  // namespace afp::cuda
