// PinnedMemory: pinned host memory as a memory resource, for buffers that a device copies from and to
// directly.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <mutex>
#include <unordered_set>

namespace afp::cuda {

class PinnedMemory final : public std::pmr::memory_resource {
 private:
  // Ordinary memory where no more can be pinned: slower, and nothing else.
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::mutex mutex_;
  std::unordered_set<void*> pinned_;
};

}  // namespace afp::cuda
