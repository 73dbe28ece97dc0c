// Bodies of device_sample.hpp.
#include "device_sample.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "afp/codec.hpp"
#include "harness.hpp"

namespace afp::bench {

std::vector<std::byte> weights_as(DType dtype, std::span<const std::byte> bf16) {
  const std::size_t count = bf16.size() / sizeof(std::uint16_t);
  const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  std::vector<std::byte> result(count * width);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half;
    std::memcpy(&half, bf16.data() + i * sizeof half, sizeof half);
    const float value = bf16_to_float(half);
    if (dtype == DType::F16) half = float_to_f16(value);
    const void* const from = dtype == DType::F32 ? static_cast<const void*>(&value) : &half;
    std::memcpy(result.data() + i * width, from, width);
  }
  return result;
}

DeviceBytes repeated(std::span<const std::byte> bytes, std::uint64_t repeats) {
  DeviceBytes all(bytes.size() * repeats);
  for (std::uint64_t i = 0; i < repeats; ++i)
    require(cudaMemcpy(all.data() + i * bytes.size(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice),
            "copying to the device");
  return all;
}

void require_repeats(const DeviceBytes& found, std::span<const std::byte> expected, std::uint64_t repeats,
                     const char* what, std::size_t begin) {
  for (const std::uint64_t repeat : {std::uint64_t{0}, repeats - 1}) {
    const std::vector<std::byte> part = found.read(begin + repeat * expected.size(), expected.size());
    if (std::memcmp(part.data(), expected.data(), part.size()) != 0)
      throw std::runtime_error(std::string(what) + " differ from the CPU backend's");
  }
}

int run_on_device(int argc, char** argv, void (*add_all)()) {
  const std::string problem = why_no_device();
  if (!problem.empty()) {
    std::printf("skipped: no CUDA device: %s\n", problem.c_str());
    return 0;
  }
  try {
    add_device_context();
    add_all();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return run(argc, argv);
}

}  // namespace afp::bench
