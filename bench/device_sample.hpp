// The sample on a device, several times over, and the comparison of what kernels make of it with what the CPU
// makes of the sample once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/tensor.hpp"
#include "device_timing.hpp"

namespace afp::bench {

std::span<const std::byte> bytes_of(const auto& values) {
  return std::as_bytes(std::span(values));
}

template <class T>
T* as(const DeviceBytes& bytes) {
  return reinterpret_cast<T*>(bytes.data());
}

// BF16 weights as another type.
std::vector<std::byte> weights_as(DType dtype, std::span<const std::byte> bf16);

DeviceBytes repeated(std::span<const std::byte> bytes, std::uint64_t repeats);

// Throws std::runtime_error where the first or the last repeat behind `begin` differs.
void require_repeats(const DeviceBytes& found, std::span<const std::byte> expected, std::uint64_t repeats,
                     const char* what, std::size_t begin = 0);

// The whole program: says so and ends well where no device is. add_all registers the cases.
int run_on_device(int argc, char** argv, void (*add_all)());

}  // namespace afp::bench
