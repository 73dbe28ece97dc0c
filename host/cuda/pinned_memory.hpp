// PinnedMemory: pinned host memory as a memory resource, for buffers that a device copies from and to
// directly.
#pragma once

#include <cstddef>
#include <map>
#include <memory_resource>
#include <mutex>
#include <unordered_map>

namespace afp::cuda {

class PinnedMemory final : public std::pmr::memory_resource {
 public:
  explicit PinnedMemory(int device) : device_(device) {}  // in whose name memory is pinned
  ~PinnedMemory() override;

 private:
  // Ordinary memory where no more can be pinned: slower, and nothing else.
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  void* take_kept(std::size_t bytes);

  int device_;
  std::mutex mutex_;
  std::unordered_map<void*, std::size_t> pinned_;  // in use, with their sizes
  std::multimap<std::size_t, void*> kept_;         // free, by size: pinning takes longer than using
};

}  // namespace afp::cuda
