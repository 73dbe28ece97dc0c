// Bodies of harness.hpp.
#include "harness.hpp"

#include <time.h>

#include <cstring>
#include <map>
#include <thread>
#include <tuple>
#include <vector>

namespace afp::bench {
namespace {

constexpr int kPasses = 12;  // over the buffer, the fastest counts

// Sums the buffer in 64-byte vectors (of however many registers): four chains of additions keep the loads
// the only limit.
std::uint64_t read_all(std::span<const std::byte> part) {
  using Vector [[gnu::vector_size(64)]] = std::uint64_t;
  constexpr std::size_t kChains = 4;
  Vector sums[kChains] = {};
  for (std::size_t i = 0; i + sizeof sums <= part.size(); i += sizeof sums) {
    for (std::size_t c = 0; c < kChains; ++c) {
      Vector words;
      std::memcpy(&words, part.data() + i + c * sizeof words, sizeof words);
      sums[c] += words;
    }
  }
  const Vector total = sums[0] + sums[1] + sums[2] + sums[3];
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sizeof total / sizeof sum; ++i) sum += total[i];
  return sum;
}

// Bytes a second of body(offset, size) over equal parts of `size` bytes, a part a thread.
template <class Body>
double bytes_per_second(std::size_t size, int threads, const Body& body) {
  const std::size_t part = size / static_cast<std::size_t>(threads);
  double best = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < kPasses; ++pass) {
    const double begin = seconds_now(threads);
    {
      std::vector<std::jthread> others;
      for (int t = 1; t < threads; ++t)
        others.emplace_back([&, t] { body(static_cast<std::size_t>(t) * part, part); });
      body(0, part);
    }
    best = std::min(best, seconds_now(threads) - begin);
  }
  return static_cast<double>(part) * threads / best;
}

// The best rate of this kind of access that the run has seen for buffers of this size.
double best_of_run(const std::string& access, std::size_t size, int threads, double rate) {
  static std::map<std::tuple<std::string, std::size_t, int>, double> rates;
  double& best = rates[{access, size, threads}];
  return best = std::max(best, rate);
}

}  // namespace

double seconds_now(int threads) {
  timespec now{};
  clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double read_ceiling(std::span<const std::byte> buffer, int threads) {
  const double rate = bytes_per_second(buffer.size(), threads, [&](std::size_t offset, std::size_t size) {
    benchmark::DoNotOptimize(read_all(buffer.subspan(offset, size)));
  });
  return best_of_run("read", buffer.size(), threads, rate);
}

double write_ceiling(std::span<std::byte> buffer, int threads) {
  const double rate = bytes_per_second(buffer.size(), threads, [&](std::size_t offset, std::size_t size) {
    std::memset(buffer.data() + offset, 0, size);
    benchmark::ClobberMemory();
  });
  return best_of_run("write", buffer.size(), threads, rate);
}

double copy_ceiling(std::span<const std::byte> buffer, int threads) {
  std::vector<std::byte> target(buffer.size());
  const double rate = bytes_per_second(buffer.size(), threads, [&](std::size_t offset, std::size_t size) {
    std::memcpy(target.data() + offset, buffer.data() + offset, size);
    benchmark::DoNotOptimize(target.data());
    benchmark::ClobberMemory();
  });
  return best_of_run("copy", buffer.size(), threads, rate);
}

void report(benchmark::State& state, const Work& work) {
  const double rate = static_cast<double>(work.bytes) / work.seconds;
  state.counters["GB/s"] = rate / 1e9;
  state.counters["Gweights/s"] = static_cast<double>(work.weights) / work.seconds / 1e9;
  state.counters["ceiling_GB/s"] = work.ceiling / 1e9;
  state.counters["%_of_ceiling"] = 100.0 * rate / work.ceiling;
}

void add(const std::string& name, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(body))->UseRealTime()->Unit(benchmark::kMillisecond);
}

int run(int argc, char** argv) {
  // Before the user's own flags, which win.
  std::string defaults[] = {"--benchmark_counters_tabular=true", "--benchmark_min_time=0.2"};
  std::vector<char*> arguments = {argv[0]};
  for (std::string& flag : defaults) arguments.push_back(flag.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace afp::bench
