// planted_bugs NAME: runs the sample kernels with that bug on 20 schedules and prints what came of it. Built
// with each sanitizer: ctest looks for what it must say, or for silence where NAME is "none".
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "sample_kernels.hpp"

namespace {

template <typename T>
struct DeviceArray {
  T* data = nullptr;
  explicit DeviceArray(const std::vector<T>& values) : data(nullptr), size_(values.size()) {
    check(cudaMalloc(&data, size_ * sizeof(T)));
    check(cudaMemcpy(data, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { cudaFree(data); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  std::vector<T> read() const {
    std::vector<T> values(size_);
    check(cudaMemcpy(values.data(), data, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }
  static void check(cudaError_t error) {
    if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
  }

 private:
  std::size_t size_;
};
void check(cudaError_t error) { DeviceArray<int>::check(error); }

bool run_kernels(Bug bug) {
  bool right = true;
  {
    std::vector<std::uint8_t> bytes(1000);
    std::vector<unsigned> expected(256);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      ++expected[bytes[i] = static_cast<std::uint8_t>(i * i / 8)];
    const DeviceArray<std::uint8_t> from(bytes);
    const DeviceArray<unsigned> counts(std::vector<unsigned>(256));
    check(histogram(from.data, 1000, counts.data, bug, nullptr));
    right = counts.read() == expected && right;
  }
  {
    std::vector<int> values(256), expected(256);
    for (int i = 0; i < 256; ++i) values[i] = i, expected[i] = i / 32 * 32 + 31 - i % 32;
    const DeviceArray<int> array(values);
    check(reverse(array.data, 256, 32, bug, nullptr));
    right = array.read() == expected && right;
  }
  {
    std::vector<int> values(3 * 256), expected(3);
    for (int i = 0; i < 3 * 256; ++i) expected[i / 256] += values[i] = i * 37 % 101 - 50;
    const DeviceArray<int> array(values), result(expected);
    check(sums(array.data, 3, result.data, bug, nullptr));
    right = result.read() == expected && right;
  }
  {
    std::vector<unsigned> values(500);
    unsigned expected = 0;
    for (unsigned i = 0; i < 500; ++i) expected += values[i] = i * 7;
    const DeviceArray<unsigned> array(values), partial(std::vector<unsigned>(8)), ticket({0}), total({0});
    check(last_block_sum(array.data, 500, partial.data, ticket.data, total.data, nullptr));
    right = total.read().front() == expected && right;
  }
  return right;
}

// Bugs of the host.
void read_device_memory() {
  const DeviceArray<int> array({1, 2, 3});
  std::printf("%d\n", static_cast<const volatile int*>(array.data)[1]);
}
void free_while_in_use() {
  cudaStream_t stream = nullptr, other = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  int* data = nullptr;
  check(cudaMallocAsync(&data, 400, other));
  check(assign(data, 100, 5, stream));
  check(cudaFreeAsync(data, other));  // which does not wait for `stream`
  check(cudaDeviceSynchronize());
  check(cudaStreamDestroy(stream));
  check(cudaStreamDestroy(other));
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, Bug> bugs{{"none", Bug::kNone},
                                        {"missing_barrier", Bug::kMissingBarrier},
                                        {"missing_warp_barrier", Bug::kMissingWarpBarrier},
                                        {"write_after_read", Bug::kWriteAfterRead},
                                        {"two_writers", Bug::kTwoWriters},
                                        {"two_blocks", Bug::kTwoBlocks},
                                        {"divergent_barrier", Bug::kDivergentBarrier},
                                        {"shared_bounds", Bug::kSharedBounds},
                                        {"dynamic_bounds", Bug::kDynamicBounds},
                                        {"global_bounds", Bug::kGlobalBounds}};
  const std::string name = argc > 1 ? argv[1] : "none";
  for (unsigned seed = 0; seed < 20; ++seed) {
    try {
      if (argc > 1) cuda_emulator::config().seed = seed;
      cuda_emulator::reset();
      if (name == "read_device_memory") {
        read_device_memory();
      } else if (name == "free_while_in_use") {
        free_while_in_use();
      } else {
        std::printf("%s\n", run_kernels(bugs.at(name)) ? "right" : "wrong");
      }
    } catch (const std::exception& error) {
      std::printf("exception: %s\n", error.what());
    }
  }
}
