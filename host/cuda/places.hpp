// Places: parts of one stretch of memory, one behind the other, aligned for any kernel; without the memory,
// how large it must be.
#pragma once

#include <cstddef>

namespace afp::cuda {

class Places {
 public:
  explicit Places(void* memory) : memory_(static_cast<std::byte*>(memory)) {}

  template <class T>
  T* take(std::size_t count) {
    std::byte* const at = memory_ == nullptr ? nullptr : memory_ + bytes_;
    bytes_ = (bytes_ + count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<T*>(at);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kAlignment = 256;

  std::byte* memory_;
  std::size_t bytes_ = 0;
};

}  // namespace afp::cuda
