// The random numbers of schedules: a seed gives the same ones everywhere.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace cuda_emulator {

class Random {  // splitmix64
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t bits = state_ += 0x9E3779B97F4A7C15u;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
    return bits ^ bits >> 31;
  }
  // In 0..end-1; `end` at least 1.
  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>((next() >> 32) * end >> 32); }
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (auto i = static_cast<std::uint32_t>(values.size()); i > 1; --i)
      std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace cuda_emulator
