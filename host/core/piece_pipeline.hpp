// The flow of pieces through read, compute and write: reading and writing in order, one piece at a
// time; computing in any order. A piece's buffers are taken again once it has been written.
#pragma once

#include <tbb/info.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <vector>

#include "afp/backend.hpp"
#include "afp/error.hpp"
#include "afp/progress.hpp"
#include "host/core/memory_shares.hpp"

namespace afp {

inline int thread_count(const RunOptions& run) {
  return run.threads > 0 ? run.threads : tbb::info::default_concurrency();
}

// As this backend is best fed within the run's memory.
inline MemoryShares shares_of(const RunOptions& run, const Backend& backend) {
  return {run.memory_budget, backend.preferred_pieces(thread_count(run)), backend.preferred_piece_bytes()};
}

// Busy seconds of a stage, summed over threads.
class StageClock {
 public:
  template <class Body>
  void time(const Body& body) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    nanoseconds_ +=
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin)
            .count();
  }
  double seconds() const { return static_cast<double>(nanoseconds_.load()) * 1e-9; }

 private:
  std::atomic<std::int64_t> nanoseconds_ = 0;
};

// Runs jobs 0 .. count-1 through read(job, buffer), compute(job, buffer) and write(job, buffer), with at
// most `tokens` of them, each with a Buffer of its own, under way. The first exception of any stage
// ends the run and is thrown here; so is Interrupted, between two pieces, once *stop is true.
template <class Buffer, class Read, class Compute, class Write>
void run_pieces(std::size_t count, std::vector<Buffer>& buffers, const std::atomic<bool>* stop,
                const Read& read, const Compute& compute, const Write& write) {
  struct Token {
    std::size_t job;
    Buffer* buffer;
  };
  std::size_t next = 0;
  const auto source = [&](tbb::flow_control& flow) -> Token {
    if (next == count) {
      flow.stop();
      return {};
    }
    if (stop && stop->load(std::memory_order_relaxed)) throw Interrupted();
    // The last stage is in order and no more than buffers.size() tokens are out: this buffer is free.
    const Token token{next, &buffers[next % buffers.size()]};
    ++next;
    read(token.job, *token.buffer);
    return token;
  };
  const auto work = [&](Token token) -> Token {
    compute(token.job, *token.buffer);
    return token;
  };
  const auto sink = [&](Token token) { write(token.job, *token.buffer); };
  tbb::parallel_pipeline(buffers.size(),
                         tbb::make_filter<void, Token>(tbb::filter_mode::serial_in_order, source) &
                             tbb::make_filter<Token, Token>(tbb::filter_mode::parallel, work) &
                             tbb::make_filter<Token, void>(tbb::filter_mode::serial_in_order, sink));
}

}  // namespace afp
