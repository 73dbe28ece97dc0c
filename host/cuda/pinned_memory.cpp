// Bodies of pinned_memory.hpp.
#include "host/cuda/pinned_memory.hpp"

#include <cuda_runtime_api.h>

#include "host/cuda/device.hpp"

namespace afp::cuda {

PinnedMemory::~PinnedMemory() {
  for (const auto& [bytes, memory] : kept_) (void)cudaFreeHost(memory);
}

// One that is not much too large.
void* PinnedMemory::take_kept(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto fits = kept_.lower_bound(bytes);
  if (fits == kept_.end() || fits->first / 2 > bytes) return nullptr;
  void* const memory = fits->second;
  pinned_[memory] = fits->first;
  kept_.erase(fits);
  return memory;
}

void* PinnedMemory::do_allocate(std::size_t bytes, std::size_t alignment) {
  constexpr std::size_t kSmall = 64 << 10;  // not worth a call of the driver
  if (bytes < kSmall) return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  if (void* const kept = take_kept(bytes)) return kept;
  const CurrentDevice current(device_);
  void* memory = nullptr;
  if (cudaMallocHost(&memory, bytes) != cudaSuccess) {
    (void)cudaGetLastError();
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  const std::lock_guard lock(mutex_);
  pinned_[memory] = bytes;
  return memory;
}

void PinnedMemory::do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = pinned_.find(memory); found != pinned_.end()) {
      kept_.emplace(found->second, memory);
      pinned_.erase(found);
      return;
    }
  }
  std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
}

}  // namespace afp::cuda
