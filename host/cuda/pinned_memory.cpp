// Bodies of pinned_memory.hpp.
#include "host/cuda/pinned_memory.hpp"

#include <cuda_runtime_api.h>

namespace afp::cuda {

void* PinnedMemory::do_allocate(std::size_t bytes, std::size_t alignment) {
  constexpr std::size_t kSmall = 64 << 10;  // not worth a call of the driver
  void* memory = nullptr;
  if (bytes < kSmall || cudaMallocHost(&memory, bytes) != cudaSuccess) {
    if (bytes >= kSmall) (void)cudaGetLastError();
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  const std::lock_guard lock(mutex_);
  pinned_.insert(memory);
  return memory;
}

void PinnedMemory::do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) {
  {
    const std::lock_guard lock(mutex_);
    if (pinned_.erase(memory) != 0) {
      (void)cudaFreeHost(memory);
      return;
    }
  }
  std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
}

}  // namespace afp::cuda
