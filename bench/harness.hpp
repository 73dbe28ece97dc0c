// What the benchmark programs share: timing by the best iteration, and the memory ceilings that each
// measurement is compared with.
//
// The best iteration, not the mean: whatever else a machine does can only add time.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>

namespace afp::bench {

// A clock for work on so many threads, in seconds: of one thread the processor time, in which other
// programs on the machine do not show; of several the wall clock.
double seconds_now(int threads);

// Runs `body`, which works on `threads` threads, once an iteration; seconds of the fastest one. Once before,
// for pages and caches: iterations may be few.
template <class Body>
double best_seconds(benchmark::State& state, int threads, const Body& body) {
  double best = std::numeric_limits<double>::infinity();
  body();
  for (auto _ : state) {
    const double begin = seconds_now(threads);
    body();
    benchmark::ClobberMemory();
    best = std::min(best, seconds_now(threads) - begin);
  }
  return best;
}

// Bytes a second that `threads` threads read from the buffer, zero it, or copy it to one of the same size
// (each byte counted once). Measured at every call; the best that this run has seen counts.
double read_ceiling(std::span<const std::byte> buffer, int threads);
double write_ceiling(std::span<std::byte> buffer, int threads);
double copy_ceiling(std::span<const std::byte> buffer, int threads);

// What one iteration did, as counters: GB/s, G weights/s, the ceiling in GB/s, and GB/s in percent of it.
struct Work {
  double seconds;  // of the best iteration
  std::uint64_t bytes;
  std::uint64_t weights;
  double ceiling;  // bytes a second
};
void report(benchmark::State& state, const Work& work);

void add(const std::string& name, std::function<void(benchmark::State&)> body);

// Runs what was added, as the Google Benchmark flags in argv say, by default so briefly that a whole program
// takes seconds; the exit status.
int run(int argc, char** argv);

}  // namespace afp::bench
