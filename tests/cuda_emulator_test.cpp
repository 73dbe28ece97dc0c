// The emulator itself: right kernels give right results on many schedules, planted bugs of kernels and of the
// host show, the API answers as CUDA's does. What needs a sanitizer is in cuda_emulator/planted_bugs.cpp.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cuda_emulator/sample_kernels.hpp"

namespace {

constexpr unsigned kSeeds = 20;

void check(cudaError_t error) {
  ASSERT_EQ(cudaGetErrorString(error), std::string("no error"));
}

// Starts from the default configuration and must end with everything freed.
class CudaEmulator : public testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override {
    cuda_emulator::config() = {};
    cuda_emulator::reset();
    EXPECT_EQ(cuda_emulator::leaks(), "");
  }
  static void start(const cuda_emulator::Config& config) {
    cuda_emulator::config() = config;
    cuda_emulator::reset();
  }
  static void start_seed(std::uint64_t seed) {
    cuda_emulator::Config config;
    config.seed = seed;
    start(config);
  }
};

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) : size_(size) { check(cudaMalloc(&data_, size * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    check(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  T* get() const { return data_; }
  std::size_t bytes() const { return size_ * sizeof(T); }
  std::vector<T> read() const {
    std::vector<T> values(size_);
    check(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

struct Stream {
  cudaStream_t handle = nullptr;
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    check(cudaStreamCreateWithFlags(&handle, flags));
  }
  ~Stream() { cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};
struct Event {
  cudaEvent_t handle = nullptr;
  explicit Event(unsigned flags = cudaEventDisableTiming) { check(cudaEventCreateWithFlags(&handle, flags)); }
  ~Event() { cudaEventDestroy(handle); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
};
struct Pinned {
  int* data = nullptr;
  explicit Pinned(std::size_t count) { check(cudaMallocHost(&data, count * sizeof(int))); }
  ~Pinned() { cudaFreeHost(data); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// --- Kernels -----------------------------------------------------------------------------------------------

bool histogram_is_right(unsigned n, Bug bug) {
  std::vector<std::uint8_t> bytes(n);
  std::vector<unsigned> expected(256);
  for (unsigned i = 0; i < n; ++i) ++expected[bytes[i] = static_cast<std::uint8_t>(i * i / 8)];
  const DeviceArray<std::uint8_t> from(bytes);
  const DeviceArray<unsigned> counts(std::vector<unsigned>(256));
  check(histogram(from.get(), n, counts.get(), bug, nullptr));
  return counts.read() == expected;
}

bool reverse_is_right(unsigned groups, unsigned threads, Bug bug) {
  std::vector<int> values(std::size_t{groups} * threads), expected(values.size());
  std::iota(values.begin(), values.end(), 0);
  for (unsigned i = 0; i < values.size(); ++i) {
    expected[i] = static_cast<int>(i / threads * threads + threads - 1 - i % threads);
  }
  const DeviceArray<int> array(values);
  check(reverse(array.get(), groups * threads, threads, bug, nullptr));
  return array.read() == expected;
}

bool sums_are_right(unsigned blocks, Bug bug) {
  std::vector<int> values(std::size_t{blocks} * 256), expected(blocks);
  for (unsigned i = 0; i < values.size(); ++i)
    expected[i / 256] += values[i] = static_cast<int>(i * 37 % 101) - 50;
  const DeviceArray<int> array(values), result(blocks);
  check(sums(array.get(), blocks, result.get(), bug, nullptr));
  return result.read() == expected;
}

TEST_F(CudaEmulator, RightKernelsAreRightOnEverySchedule) {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    start_seed(seed);
    for (const unsigned n : {1u, 127u, 1000u}) EXPECT_TRUE(histogram_is_right(n, Bug::kNone));
    for (const unsigned threads : {1u, 31u, 33u, 256u, 1024u})
      EXPECT_TRUE(reverse_is_right(5, threads, Bug::kNone));
    EXPECT_TRUE(sums_are_right(3, Bug::kNone));

    std::vector<float> values(8 * 100);
    std::vector<std::uint32_t> expected(100);
    for (unsigned i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(i * 29 % 97) / 4 - 12;
      const long code = std::clamp(std::lrint(values[i]) + 8, 0l, 15l);
      expected[i / 8] += static_cast<std::uint32_t>(code) << (4 * (i % 8));
    }
    const DeviceArray<float> from(values);
    const DeviceArray<std::uint32_t> codes(100);
    check(quantize(from.get(), 100, codes.get(), nullptr));
    EXPECT_EQ(codes.read(), expected);

    const DeviceArray<unsigned> numbers(std::vector<unsigned>(500, 3)), partial(8),
        ticket(std::vector<unsigned>{0}), total(1);
    check(last_block_sum(numbers.get(), 500, partial.get(), ticket.get(), total.get(), nullptr));
    EXPECT_EQ(total.read().front(), 1500);
  }
}

// The pseudo-code of PTX's shfl.sync, which knows lanes, a clamp and a segment mask.
unsigned source_lane(unsigned instruction, unsigned lane, unsigned b, int width) {
  const int segment = 32 - width, clamp = instruction == 0 ? 0 : 31, bval = static_cast<int>(b & 31),
            own = static_cast<int>(lane);
  const int max_lane = (own & segment) | (clamp & ~segment), min_lane = own & segment;
  int j = 0;
  bool valid = false;
  switch (instruction) {
    case 0:
      j = own - bval, valid = j >= max_lane;
      break;
    case 1:
      j = own + bval, valid = j <= max_lane;
      break;
    case 2:
      j = own ^ bval, valid = j <= max_lane;
      break;
    default:
      j = min_lane | (bval & ~segment), valid = j <= max_lane;
  }
  return valid ? static_cast<unsigned>(j) : lane;
}

TEST_F(CudaEmulator, ShufflesReadTheLaneThatTheInstructionReads) {
  const DeviceArray<unsigned> received(kShuffles * 32);
  for (const int width : {1, 2, 4, 8, 16, 32}) {
    for (unsigned delta = 0; delta < 40; ++delta) {
      check(shuffles(delta, width, received.get(), nullptr));
      const auto got = received.read();
      for (unsigned i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i], 100 + source_lane(i / 32, i % 32, delta, width))
            << width << " " << delta << " " << i;
      }
    }
  }
}

TEST_F(CudaEmulator, VotesMatchesAndReductions) {
  for (const unsigned lanes : {32u, 20u}) {
    for (unsigned seed = 0; seed < kSeeds; ++seed) {
      start_seed(seed);
      std::vector<unsigned> keys(lanes);
      for (unsigned i = 0; i < lanes; ++i) keys[i] = (i + seed) * 5 % 7 % (seed % 3 + 4);
      std::vector<unsigned> expected(kVotes * 32, ~0u);
      for (unsigned i = 0; i < lanes; ++i) {
        unsigned odd = 0, equal = 0, any = 0, all = 1, sum = 0, most = 0, bits = 0, twos = 0;
        int least = 100;
        for (unsigned j = 0; j < lanes; ++j) {
          odd |= (keys[j] % 2) << j;
          equal |= (keys[j] == keys[i] ? 1u : 0u) << j;
          if (keys[j] == 3) any = 1;
          if (keys[j] >= 5) all = 0;
          sum -= keys[j];
          most = std::max(most, keys[j]);
          least = std::min(least, static_cast<int>(keys[j]) - 3);
          bits |= 1u << keys[j];
          twos += keys[j] == 2 ? 1 : 0;
        }
        const unsigned present = lanes == 32 ? ~0u : (1u << lanes) - 1;
        const std::array<unsigned, kVotes> of_lane{odd,
                                                   any,
                                                   all,
                                                   equal,
                                                   sum,
                                                   most,
                                                   static_cast<unsigned>(least),
                                                   bits,
                                                   twos,
                                                   present & (i % 2 ? 0xAAAAAAAA : 0x55555555)};
        for (unsigned v = 0; v < kVotes; ++v) expected[v * 32 + i] = of_lane[v];
      }
      const DeviceArray<unsigned> from(keys), results(kVotes * 32);
      check(votes(from.get(), lanes, results.get(), nullptr));
      ASSERT_EQ(results.read(), expected) << seed;
    }
  }
}

TEST_F(CudaEmulator, BitFunctions) {
  const std::array<std::uint8_t, 8> bytes{0x12, 0x83, 0x7F, 0xFF, 0x00, 0x80, 0x45, 0x9A};
  const auto a = 0xFF7F8312u, b = 0x9A458000u;
  for (unsigned selectors = 0; selectors < 0x10000; ++selectors) {
    unsigned expected = 0;
    for (unsigned i = 4; i-- > 0;) {
      const unsigned s = selectors >> 4 * i & 15, byte = bytes[s % 8];
      expected = expected * 256 + (s < 8 ? byte : byte >= 128 ? 255 : 0);
    }
    ASSERT_EQ(__byte_perm(a, b, selectors), expected) << selectors;
  }
  for (unsigned shift = 0; shift < 40; ++shift) {
    for (unsigned i = 0; i < 32; ++i) {
      const auto bit = [&](unsigned k) { return (k < 32 ? a >> k : b >> (k - 32)) & 1; };  // of b:a
      ASSERT_EQ(__funnelshift_r(a, b, shift) >> i & 1, bit(i + shift % 32));
      ASSERT_EQ(__funnelshift_l(a, b, shift) >> i & 1, bit(i + 32 - shift % 32));
    }
  }
  for (unsigned i = 0; i < 32; ++i) {
    EXPECT_EQ(__brev(1u << i), 1u << (31 - i));
    EXPECT_EQ(__clz(static_cast<int>(1u << i)), 31 - static_cast<int>(i));
    EXPECT_EQ(__ffs(static_cast<int>(~0u << i)), static_cast<int>(i) + 1);
    EXPECT_EQ(__popc(~0u << i), 32 - static_cast<int>(i));
    EXPECT_EQ(__clzll(1ll << i << 16), 47 - static_cast<int>(i));
    EXPECT_EQ(__ffsll(static_cast<long long>(~0ull << i << 16)), static_cast<int>(i) + 17);
    EXPECT_EQ(__popcll(~0ull << i << 16), 48 - static_cast<int>(i));
  }
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clzll(0), 64);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__float_as_uint(-1.5f), 0xBFC00000u);
  EXPECT_EQ(__uint_as_float(0x3F800001u), 1.0f + 0x1p-23f);
  EXPECT_EQ(__int_as_float(__float_as_int(0x1p-149f)), 0x1p-149f);
  EXPECT_EQ(__longlong_as_double(__double_as_longlong(0.1)), 0.1);
  EXPECT_EQ(__umulhi(0xFFFFFFFFu, 0xFFFFFFFEu), 0xFFFFFFFDu);
  EXPECT_EQ(__umul64hi(~0ull, ~0ull - 1), ~0ull - 2);
}

TEST_F(CudaEmulator, AtomicsReturnWhatWasThere) {
  unsigned u = 5;
  int i = -3;
  unsigned long long w = 1ull << 40;
  EXPECT_EQ(atomicAdd(&u, 3), 5);
  EXPECT_EQ(atomicSub(&u, 1), 8);
  EXPECT_EQ(atomicMax(&i, -7), -3);
  EXPECT_EQ(atomicMin(&i, -7), -3);
  EXPECT_EQ(atomicOr(&w, 1), 1ull << 40);
  EXPECT_EQ(atomicAnd(&w, 3), (1ull << 40) + 1);
  EXPECT_EQ(atomicExch(&i, 9), -7);
  EXPECT_EQ(atomicCAS(&u, 6, 1), 7);
  EXPECT_EQ(atomicCAS(&u, 7, 2), 7);
  EXPECT_EQ(atomicInc(&u, 2), 2);
  EXPECT_EQ(u, 0);
  EXPECT_EQ(i, 9);
  EXPECT_EQ(w, 1);
}

TEST_F(CudaEmulator, BlocksRunInAnOrderOfTheSeed) {
  const auto order = [](std::uint64_t seed) {
    start_seed(seed);
    const DeviceArray<unsigned> next(std::vector<unsigned>{0}), to(32);
    check(block_order(next.get(), to.get(), 32, nullptr));
    return to.read();
  };
  std::vector<unsigned> in_order(32);
  for (unsigned b = 0; b < 32; ++b) in_order[b] = b % 8;
  EXPECT_EQ(order(0), in_order);
  EXPECT_NE(order(1), in_order);
  EXPECT_NE(order(1), order(2));
  EXPECT_EQ(order(1), order(1));
}

TEST_F(CudaEmulator, SharedMemoryIsFreshInEveryBlock) {
  const DeviceArray<unsigned> data(96);
  check(fresh_shared_memory(data.get(), nullptr));
  EXPECT_EQ(data.read(), std::vector<unsigned>(96, ~0u));
}

// --- Bugs of kernels ---------------------------------------------------------------------------------------

TEST_F(CudaEmulator, BugsThatDependOnTheScheduleGiveWrongResults) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer reports these races";
#endif
  unsigned barrier = 0, warp_barrier = 0, write_after_read = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    start_seed(seed);
    barrier += !histogram_is_right(1000, Bug::kMissingBarrier);
    warp_barrier += !sums_are_right(3, Bug::kMissingWarpBarrier);
    write_after_read += !reverse_is_right(8, 32, Bug::kWriteAfterRead);
  }
  EXPECT_GT(barrier, 0);
  EXPECT_GT(warp_barrier, 0);
  EXPECT_GT(write_after_read, 0);
}

struct Rule {
  const char* name;
  Bug bug;
  const char* message;
};

TEST_F(CudaEmulator, BrokenRulesAreExceptionsThatNameThePlace) {
  const std::vector<Rule> rules{
      {"divergent", Bug::kDivergentBarrier, "a thread leaves the kernel while others wait in __syncthreads"},
      {"early exit", Bug::kEarlyExit, "a thread leaves the kernel while others wait in __syncthreads"},
      {"late barrier", Bug::kDivergentBarrier, "__syncthreads after "},
      {"other barrier", Bug::kOtherBarrier,
       "__syncthreads in divergent code, others wait in __syncthreads at "},
      {"diverged", Bug::kDivergedShuffle,
       "__shfl_down_sync in a diverged warp, other lanes wait in __shfl_down_sync at "},
      {"mask", Bug::kWrongMask, "__shfl_down_sync with a mask that lacks the calling lane"},
      {"exited", Bug::kExitedLane, "__shfl_down_sync with a mask that names lanes that left the kernel"}};
  for (const Rule& rule : rules) {
    std::set<std::string> seen;
    for (unsigned seed = 0; seed < kSeeds; ++seed) {
      start_seed(seed);
      const std::string message = message_of([&] {
        histogram_is_right(1000, rule.bug);
        reverse_is_right(8, 32, rule.bug);
        sums_are_right(3, rule.bug);
      });
      EXPECT_NE(message.find("sample_kernels.cu:"), std::string::npos) << rule.name << ": " << message;
      EXPECT_NE(message.find(": thread ("), std::string::npos) << rule.name << ": " << message;
      EXPECT_NE(message.find(" of block ("), std::string::npos) << rule.name << ": " << message;
      seen.insert(message);
    }
    EXPECT_TRUE(
        std::any_of(seen.begin(), seen.end(), [&](const auto& m) { return m.find(rule.message) != m.npos; }))
        << rule.name << ": " << *seen.begin();
  }
}

TEST_F(CudaEmulator, WhatAKernelThrowsComesOutOfTheNextSynchronisation) {
  for (const unsigned seed : {0u, 1u, 2u, 3u}) {
    start_seed(seed);
    EXPECT_EQ(message_of([] {
                check(throwing(nullptr));
                check(cudaDeviceSynchronize());
              }),
              "thrown by a kernel");
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    start_seed(seed);
    EXPECT_TRUE(sums_are_right(2, Bug::kNone));
  }
}

TEST_F(CudaEmulator, LaunchesBeyondTheLimitsOfADeviceAreRefused) {
  const auto assign_with = [](dim3 grid, dim3 block, std::size_t shared) {
    const cudaLaunchConfig_t config{grid, block, shared, nullptr, nullptr, 0};
    return cuda_emulator::launch(config, nullptr, [] {});
  };
  EXPECT_EQ(assign_with(1, 1024, 0), cudaSuccess);
  EXPECT_EQ(assign_with(1, 1025, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(assign_with(1, 0, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(assign_with(0, 32, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(assign_with(1, dim3(1, 1, 65), 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(assign_with(dim3(1, 65536), 1, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(much_shared_memory(48 << 10, false, nullptr), cudaSuccess);
  EXPECT_EQ(much_shared_memory((48 << 10) + 1, false, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(much_shared_memory(227 << 10, true, nullptr), cudaSuccess);
  EXPECT_EQ(much_shared_memory((227 << 10) + 1, true, nullptr), cudaErrorInvalidValue);
}

// --- Streams: what the host may not do shows on some seed, what it may do is right on all ------------------

constexpr unsigned kCount = 64;

unsigned wrong_seeds(const std::function<std::vector<int>()>& run, int expected) {
  unsigned wrong = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    cuda_emulator::config().seed = seed;
    cuda_emulator::reset();
    if (run() != std::vector<int>(kCount, expected)) ++wrong;
  }
  return wrong;
}

TEST_F(CudaEmulator, AMissingWaitBetweenStreamsShows) {
  const auto run = [](bool waits) {
    return [waits] {
      const Stream copies, kernels;
      const Event uploaded, computed;
      const DeviceArray<int> from(kCount), to(kCount);
      const std::vector<int> source(kCount, 41);
      std::vector<int> result(kCount);
      check(cudaMemcpyAsync(from.get(), source.data(), from.bytes(), cudaMemcpyHostToDevice, copies.handle));
      if (waits) {
        check(cudaEventRecord(uploaded.handle, copies.handle));
        check(cudaStreamWaitEvent(kernels.handle, uploaded.handle));
      }
      check(increment(from.get(), to.get(), kCount, kernels.handle));
      check(cudaEventRecord(computed.handle, kernels.handle));
      check(cudaStreamWaitEvent(copies.handle, computed.handle));
      check(cudaMemcpyAsync(result.data(), to.get(), to.bytes(), cudaMemcpyDeviceToHost, copies.handle));
      check(cudaStreamSynchronize(copies.handle));
      check(cudaStreamSynchronize(kernels.handle));
      return result;
    };
  };
  EXPECT_EQ(wrong_seeds(run(true), 42), 0);
  EXPECT_GT(wrong_seeds(run(false), 42), 0);
}

TEST_F(CudaEmulator, TheNullStreamWaitsForBlockingStreamsAlone) {
  const auto run = [](unsigned flags) {
    return [flags] {
      const Stream stream(flags);
      const DeviceArray<int> data(kCount);
      check(assign(data.get(), kCount, 7, stream.handle));
      std::vector<int> result = data.read();
      check(cudaStreamSynchronize(stream.handle));
      return result;
    };
  };
  EXPECT_EQ(wrong_seeds(run(cudaStreamDefault), 7), 0);
  EXPECT_GT(wrong_seeds(run(cudaStreamNonBlocking), 7), 0);
}

TEST_F(CudaEmulator, BlockingStreamsAloneWaitForTheNullStream) {
  const auto run = [](unsigned flags) {
    return [flags] {
      const Stream stream(flags);
      const DeviceArray<int> from(kCount), to(kCount);
      check(assign(from.get(), kCount, 7, nullptr));
      check(increment(from.get(), to.get(), kCount, stream.handle));
      check(cudaStreamSynchronize(stream.handle));
      return to.read();
    };
  };
  EXPECT_EQ(wrong_seeds(run(cudaStreamDefault), 8), 0);
  EXPECT_GT(wrong_seeds(run(cudaStreamNonBlocking), 8), 0);
}

TEST_F(CudaEmulator, WorkMayRunBeforeAnybodyWaitsForIt) {
  const auto run = [] {
    const Stream stream;
    const Pinned memory(kCount);
    check(assign(memory.data, kCount, 3, stream.handle));
    std::vector<int> result(memory.data, memory.data + kCount);
    check(cudaStreamSynchronize(stream.handle));
    return result;
  };
  EXPECT_GT(wrong_seeds(run, 3), 0);
  EXPECT_LT(wrong_seeds(run, 3), kSeeds);
}

TEST_F(CudaEmulator, AHostBufferReusedTooEarlyShows) {
  const auto run = [](bool pinned, bool waits) {
    return [=] {
      const Stream stream;
      const Pinned memory(kCount);
      std::vector<int> pageable(kCount);
      int* const buffer = pinned ? memory.data : pageable.data();
      const DeviceArray<int> data(kCount);
      std::fill_n(buffer, kCount, 5);
      check(cudaMemcpyAsync(data.get(), buffer, data.bytes(), cudaMemcpyHostToDevice, stream.handle));
      if (waits) check(cudaStreamSynchronize(stream.handle));
      std::fill_n(buffer, kCount, 6);
      check(cudaStreamSynchronize(stream.handle));
      return data.read();
    };
  };
  for (const bool pinned : {false, true}) {
    EXPECT_EQ(wrong_seeds(run(pinned, true), 5), 0);
    EXPECT_GT(wrong_seeds(run(pinned, false), 5), 0);
  }
}

TEST_F(CudaEmulator, AResultReadBeforeItIsThereShows) {
  const auto run = [](bool waits) {
    return [waits] {
      const Stream stream;
      const Event done;
      const Pinned memory(kCount);
      const DeviceArray<int> data(kCount);
      check(assign(data.get(), kCount, 3, stream.handle));
      check(cudaMemcpyAsync(memory.data, data.get(), data.bytes(), cudaMemcpyDeviceToHost, stream.handle));
      check(cudaEventRecord(done.handle, stream.handle));
      if (waits) check(cudaEventSynchronize(done.handle));
      std::vector<int> result(memory.data, memory.data + kCount);
      check(cudaStreamSynchronize(stream.handle));
      return result;
    };
  };
  EXPECT_EQ(wrong_seeds(run(true), 3), 0);
  EXPECT_GT(wrong_seeds(run(false), 3), 0);
}

TEST_F(CudaEmulator, MemoryFreedInStreamOrderIsThereUntilThen) {
  const auto run = [] {
    const Stream stream;
    int* data = nullptr;
    std::vector<int> result(kCount);
    check(cudaMallocAsync(&data, kCount * sizeof(int), stream.handle));
    check(assign(data, kCount, 8, stream.handle));
    check(cudaMemcpyAsync(result.data(), data, kCount * sizeof(int), cudaMemcpyDeviceToHost, stream.handle));
    check(cudaFreeAsync(data, stream.handle));
    EXPECT_EQ(cudaFreeAsync(data, stream.handle), cudaErrorInvalidValue);
    check(cudaStreamSynchronize(stream.handle));
    return result;
  };
  EXPECT_EQ(wrong_seeds(run, 8), 0);
}

TEST_F(CudaEmulator, QueuesAreLateAndQueriesEndThem) {
  start_seed(5);
  const Stream stream;
  const Event start(cudaEventDefault), end(cudaEventDefault), untimed;
  const DeviceArray<int> data(kCount);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start.handle, end.handle), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventQuery(end.handle), cudaSuccess);  // never recorded
  check(cudaEventRecord(start.handle, stream.handle));
  for (int i = 0; i < 50; ++i) check(assign(data.get(), kCount, i, stream.handle));
  check(cudaEventRecord(end.handle, stream.handle));
  EXPECT_EQ(cudaStreamQuery(stream.handle), cudaErrorNotReady);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start.handle, end.handle), cudaErrorNotReady);
  int polls = 0;
  while (cudaEventQuery(end.handle) == cudaErrorNotReady) ++polls;
  EXPECT_GT(polls, 0);
  EXPECT_EQ(cudaStreamQuery(stream.handle), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);  // not: not ready
  check(cudaEventElapsedTime(&milliseconds, start.handle, end.handle));
  EXPECT_GE(milliseconds, 0);
  check(cudaEventRecord(untimed.handle, stream.handle));
  check(cudaDeviceSynchronize());
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, untimed.handle, end.handle), cudaErrorInvalidResourceHandle);
}

TEST_F(CudaEmulator, EagerWorkIsDoneAtOnce) {
  start_seed(5);
  cuda_emulator::config().eager = true;
  const Stream stream;
  const Pinned memory(kCount);
  const DeviceArray<int> data(kCount);
  check(assign(data.get(), kCount, 3, stream.handle));
  check(cudaMemcpyAsync(memory.data, data.get(), data.bytes(), cudaMemcpyDeviceToHost, stream.handle));
  EXPECT_EQ(memory.data[kCount - 1], 3);
}

TEST_F(CudaEmulator, ManyHostThreads) {
  for (const unsigned seed : {0u, 1u, 2u}) {
    start_seed(seed);
    std::vector<std::vector<int>> results(8, std::vector<int>(kCount));
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int round = 0; round < 20; ++round) {
          const Stream stream;
          const DeviceArray<int> a(kCount), b(kCount);
          check(assign(a.get(), kCount, t * 100 + round, stream.handle));
          check(increment(a.get(), b.get(), kCount, stream.handle));
          check(
              cudaMemcpyAsync(results[t].data(), b.get(), b.bytes(), cudaMemcpyDeviceToHost, stream.handle));
          check(cudaStreamSynchronize(stream.handle));
          EXPECT_EQ(results[t], std::vector<int>(kCount, t * 100 + round + 1));
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

TEST_F(CudaEmulator, AFunctionOfTheHostRunsInStreamOrder) {
  const auto run = [] {
    const Stream stream;
    const DeviceArray<int> data(kCount), to(kCount);
    check(assign(data.get(), kCount, 3, stream.handle));
    check(cuda_emulator::run_on_stream(stream.handle,
                                       [&] { std::fill_n(data.get(), kCount, data.get()[0] + 10); }));
    check(increment(data.get(), to.get(), kCount, stream.handle));
    check(cudaStreamSynchronize(stream.handle));
    return to.read();
  };
  EXPECT_EQ(wrong_seeds(run, 14), 0);
}

// --- Memory and devices ------------------------------------------------------------------------------------

TEST_F(CudaEmulator, MemoryHasALimitAndStartsWithoutMeaning) {
  cuda_emulator::config().memory = 1000;
  std::size_t free = 0, total = 0;
  void *first = nullptr, *second = nullptr;
  check(cudaMalloc(&first, 600));
  EXPECT_EQ(cudaMalloc(&second, 401), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  check(cudaMemGetInfo(&free, &total));
  EXPECT_EQ(free, 400);
  EXPECT_EQ(total, 1000);
  EXPECT_EQ(cuda_emulator::leaks(), "device memory of 600 bytes is not freed\n");
  std::vector<std::uint8_t> bytes(600);
  check(cudaMemcpy(bytes.data(), first, 600, cudaMemcpyDefault));
  EXPECT_EQ(bytes, std::vector<std::uint8_t>(600, 0xFF));

  cudaMemPool_t pool = nullptr;
  std::uint64_t value = 0;
  check(cudaDeviceGetDefaultMemPool(&pool, 0));
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &value));
  value = 12345;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &value));
  value = 0;
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &value));
  EXPECT_EQ(value, 12345);
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &value));
  EXPECT_EQ(value, 600);

  cuda_emulator::config().seed = 9;
  check(cudaFreeAsync(first, nullptr));
  check(cudaMallocAsync(&second, 1000, nullptr));  // waits for the memory that is about to be freed
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &value));
  EXPECT_EQ(value, 1000);
  check(cudaFree(second));
  EXPECT_EQ(cudaFree(second), cudaErrorInvalidValue);
  check(cudaFree(nullptr));
  check(cudaMalloc(&first, 0));
  EXPECT_EQ(first, nullptr);
}

TEST_F(CudaEmulator, PointersAreKnown) {
  const DeviceArray<int> array(4);
  const Pinned pinned(4);
  int pageable[4]{};
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, array.get() + 3));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.devicePointer, array.get() + 3);
  check(cudaPointerGetAttributes(&attributes, array.get() + 4));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  check(cudaPointerGetAttributes(&attributes, pinned.data));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  check(cudaPointerGetAttributes(&attributes, pageable));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);

  EXPECT_EQ(cudaMemcpy(array.get(), pageable, 17, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(array.get(), pageable, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(pinned.data, array.get(), 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(pageable, 0, 16), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(array.get() + 1, 0, 13), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(array.get()), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(array.get() + 1), cudaErrorInvalidValue);
  check(cudaMemset(array.get(), 1, 16));
  EXPECT_EQ(array.read(), std::vector<int>(4, 0x01010101));
}

TEST_F(CudaEmulator, DevicesAreAsConfigured) {
  cuda_emulator::config().devices = 2;
  cuda_emulator::config().minor = 3;
  cuda_emulator::config().memory = 4096;
  int value = 0;
  check(cudaGetDeviceCount(&value));
  EXPECT_EQ(value, 2);
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 1));
  EXPECT_STREQ(properties.name, "emulated");
  EXPECT_EQ(properties.major * 10 + properties.minor, 93);
  EXPECT_EQ(properties.totalGlobalMem, 4096);
  check(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMinor, 1));
  EXPECT_EQ(value, 3);
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);

  const Stream of_first;
  check(cudaSetDevice(1));
  check(cudaGetDevice(&value));
  EXPECT_EQ(value, 1);
  const DeviceArray<int> array(4);
  EXPECT_EQ(assign(array.get(), 4, 1, of_first.handle), cudaErrorInvalidResourceHandle);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  EXPECT_EQ(free, 4096 - 16);
  check(cudaSetDevice(0));
  check(cudaMemGetInfo(&free, &total));
  EXPECT_EQ(free, 4096);
}

// --- Faults ------------------------------------------------------------------------------------------------

TEST_F(CudaEmulator, WithoutADeviceNothingWorks) {
  for (const auto& [devices, error] :
       {std::pair{0, cudaErrorNoDevice}, std::pair{-1, cudaErrorInsufficientDriver}}) {
    cuda_emulator::config().devices = devices;
    int count = 7, version = 7;
    void* pointer = nullptr;
    EXPECT_EQ(cudaGetDeviceCount(&count), error);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(cudaMalloc(&pointer, 4), error);
    EXPECT_EQ(assign(nullptr, 0, 0, nullptr), error);
    EXPECT_EQ(cudaGetLastError(), error);
    check(cudaDriverGetVersion(&version));
    EXPECT_EQ(version, devices < 0 ? 0 : 13000);
  }
  cuda_emulator::config() = {};
  cuda_emulator::config().major = 7;
  EXPECT_EQ(assign(nullptr, 0, 0, nullptr), cudaErrorNoKernelImageForDevice);
}

// A program that hands on the first error it meets and frees what it has.
cudaError_t small_program() {
  int *a = nullptr, *b = nullptr;
  std::vector<int> host(kCount, 1);
  const auto run = [&]() -> cudaError_t {
#define TRY(call) \
  if (const cudaError_t error = call; error != cudaSuccess) return error
    TRY(cudaMalloc(&a, kCount * sizeof(int)));
    TRY(cudaMallocAsync(&b, kCount * sizeof(int), nullptr));
    TRY(cudaMemcpyAsync(a, host.data(), kCount * sizeof(int), cudaMemcpyHostToDevice));
    TRY(increment(a, b, kCount, nullptr));
    TRY(increment(b, a, kCount, nullptr));
    TRY(cudaMemcpyAsync(host.data(), a, kCount * sizeof(int), cudaMemcpyDeviceToHost));
    TRY(cudaDeviceSynchronize());
    return cudaSuccess;
#undef TRY
  };
  const cudaError_t error = run();
  cudaFree(a);
  cudaFreeAsync(b, nullptr);
  EXPECT_TRUE(error != cudaSuccess || host == std::vector<int>(kCount, 3));
  return error;
}

TEST_F(CudaEmulator, EveryCallCanFail) {
  using cuda_emulator::Config;
  using cuda_emulator::Counters;
  using cuda_emulator::Fault;
  struct Site {
    Fault Config::*fault;
    std::uint64_t Counters::*count;
    cudaError_t error;
  };
  EXPECT_EQ(small_program(), cudaSuccess);
  const Counters clean = cuda_emulator::counters();
  EXPECT_EQ(clean.allocations, 2);
  EXPECT_EQ(clean.launches, 2);
  EXPECT_EQ(clean.copies, 2);
  EXPECT_EQ(clean.synchronisations, 1);
  for (const Site& site :
       {Site{&Config::fail_allocation, &Counters::allocations, cudaErrorMemoryAllocation},
        Site{&Config::fail_launch, &Counters::launches, cudaErrorIllegalAddress},
        Site{&Config::fail_copy, &Counters::copies, cudaErrorIllegalAddress},
        Site{&Config::fail_synchronize, &Counters::synchronisations, cudaErrorIllegalAddress}}) {
    for (const unsigned seed : {0u, 1u, 2u}) {
      for (const bool onwards : {false, true}) {
        for (std::uint64_t n = 1; n <= clean.*site.count; ++n) {
          start_seed(seed);
          cuda_emulator::config().*site.fault = Fault{n, onwards};
          EXPECT_EQ(small_program(), site.error);
          const bool sticky = site.error == cudaErrorIllegalAddress;
          EXPECT_EQ(small_program(), onwards || sticky ? site.error : cudaSuccess);
          EXPECT_EQ(cudaPeekAtLastError(), site.error);
          EXPECT_EQ(cudaGetLastError(), site.error);
          EXPECT_EQ(cudaGetLastError(), sticky ? site.error : cudaSuccess);
          start({});
          EXPECT_EQ(cuda_emulator::leaks(), "");
          EXPECT_EQ(small_program(), cudaSuccess);
        }
      }
    }
  }
}

TEST_F(CudaEmulator, ErrorsHaveTheirNames) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(998)), "unrecognized error code");
  EXPECT_EQ(static_cast<int>(cudaErrorInsufficientDriver), 35);
}

TEST_F(CudaEmulator, HandlesThatAreGoneAreRefused) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamDefault));
  check(cudaEventCreateWithFlags(&event, cudaEventDefault));
  EXPECT_EQ(cuda_emulator::leaks(), "a stream is not destroyed\nan event is not destroyed\n");
  check(cudaStreamDestroy(stream));
  check(cudaEventDestroy(event));
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(nullptr), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventDestroy(event), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamWaitEvent(nullptr, event), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(event), cudaErrorInvalidResourceHandle);
}

}  // namespace
