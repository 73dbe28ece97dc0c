// Memory of the device and pinned memory: allocated, copied, filled, freed; it starts as 0xFF.
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "runtime.hpp"
#include "sanitizers.hpp"

namespace cuda_emulator {

// The allocation that holds `pointer`, null if none.
const std::pair<const char* const, Allocation>* Runtime::find_allocation(const void* pointer) const {
  auto after = allocations.upper_bound(static_cast<const char*>(pointer));
  if (after == allocations.begin()) return nullptr;
  --after;
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(pointer) - after->first);
  return offset < after->second.bytes ? &*after : nullptr;
}

cudaMemoryType Runtime::memory_type(const void* pointer) const {
  const auto* found = find_allocation(pointer);
  return found == nullptr ? cudaMemoryTypeUnregistered : found->second.type;
}

void Runtime::release(const void* pointer) {
  const auto found = allocations.find(static_cast<const char*>(pointer));
  const Allocation allocation = found->second;
  allocations.erase(found);
  if (allocation.type == cudaMemoryTypeDevice) device(allocation.device).memory.used -= allocation.bytes;
  void* const data = const_cast<void*>(pointer);
  sanitizer::unpoison(data, allocation.bytes);
  std::free(std::memset(data, 0xFF, allocation.bytes));
}

// Device memory is open while work runs: under AddressSanitizer the host that touches it directly is caught.
void Runtime::open_device_memory(bool open) {
  for (const auto& [data, allocation] : allocations) {
    if (allocation.type != cudaMemoryTypeDevice) continue;
    (open ? sanitizer::unpoison : sanitizer::poison)(const_cast<char*>(data), allocation.bytes);
  }
}

namespace {

cudaError_t allocate(Runtime& self, void** pointer, std::size_t bytes, cudaMemoryType type) {
  *pointer = nullptr;
  if (self.config.fail_allocation.hits(++self.counters.allocations)) return cudaErrorMemoryAllocation;
  if (bytes == 0) return cudaSuccess;
  if (type == cudaMemoryTypeDevice) {
    CUmemPoolHandle_st& memory = self.device(current_device).memory;
    if (bytes > self.config.memory) return cudaErrorMemoryAllocation;
    if (memory.used + bytes > self.config.memory) self.run_all();  // cudaFreeAsync may be on its way
    if (memory.used + bytes > self.config.memory) return cudaErrorMemoryAllocation;
  }
  if (posix_memalign(pointer, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xFF, bytes);
  self.allocations[static_cast<char*>(*pointer)] = {bytes, type, current_device};
  if (type == cudaMemoryTypeDevice) {
    CUmemPoolHandle_st& memory = self.device(current_device).memory;
    memory.highest = std::max(memory.highest, memory.used += bytes);
    sanitizer::poison(*pointer, bytes);
  }
  return cudaSuccess;
}

// The allocation that begins at `pointer`, if it is of this type and not about to be freed already.
Allocation* owned(Runtime& self, const void* pointer, cudaMemoryType type) {
  const auto found = self.allocations.find(static_cast<const char*>(pointer));
  const bool fits = found != self.allocations.end() && found->second.type == type && !found->second.freeing;
  return fits ? &found->second : nullptr;
}

// Pageable memory, of which the emulator knows nothing, or a range inside one allocation.
bool is_whole(const Runtime& self, const void* pointer, std::size_t bytes) {
  const auto* found = self.find_allocation(pointer);
  return found == nullptr || static_cast<const char*>(pointer) + bytes <= found->first + found->second.bytes;
}

// Queues what writes to `to` and reads `from` (null: nothing).
cudaError_t move_bytes(Runtime& self, void* to, const void* from, std::size_t bytes,
                       const StreamPointer& stream, std::function<void()> move) {
  ++self.counters.copies;
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  if (!is_whole(self, to, bytes) || !is_whole(self, from, bytes)) return cudaErrorInvalidValue;
  const cudaMemoryType to_type = self.memory_type(to), from_type = self.memory_type(from);
  self.enqueue(stream,
               self.unless(self.config.fail_copy, self.counters.copies, [=, &self, move = std::move(move)] {
                 if (self.memory_type(to) != to_type || self.memory_type(from) != from_type) {
                   throw std::runtime_error("memory was freed before a queued copy or fill of it ran");
                 }
                 move();
               }));
  return cudaSuccess;
}

cudaError_t copy(Runtime& self, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                 const StreamPointer& stream) {
  const int actual = (self.memory_type(from) == cudaMemoryTypeDevice ? 2 : 0) +
                     (self.memory_type(to) == cudaMemoryTypeDevice ? 1 : 0);
  if (bytes != 0 && (to == nullptr || from == nullptr || (kind != cudaMemcpyDefault && kind != actual))) {
    return cudaErrorInvalidValue;
  }
  return move_bytes(self, to, from, bytes, stream, [=] { std::memmove(to, from, bytes); });
}

}  // namespace
}  // namespace cuda_emulator

using namespace cuda_emulator;

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call([&](Runtime& self) {
    *total = self.config.memory;
    *free = *total - std::min<std::size_t>(*total, self.device(current_device).memory.used);
    return cudaSuccess;
  });
}
cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return call([&](Runtime& self) { return allocate(self, pointer, bytes, cudaMemoryTypeDevice); });
}
cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  return call([&](Runtime& self) {
    if (self.find_stream(stream) == nullptr) return cudaErrorInvalidResourceHandle;
    return allocate(self, pointer, bytes, cudaMemoryTypeDevice);
  });
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  return call([&](Runtime& self) { return allocate(self, pointer, bytes, cudaMemoryTypeHost); });
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes, unsigned flags) {
  return cudaHostAlloc(pointer, bytes, flags);
}
cudaError_t cudaFree(void* pointer) {
  const auto free = [&](Runtime& self) {
    if (pointer == nullptr) return cudaSuccess;
    self.run_all();  // as on a device, where it waits for all work
    if (owned(self, pointer, cudaMemoryTypeDevice) == nullptr) return cudaErrorInvalidValue;
    self.release(pointer);
    return cudaSuccess;
  };
  return call(free, Kind::kCleanUp);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
  const auto free = [&](Runtime& self) {
    if (pointer == nullptr) return cudaSuccess;
    Allocation* const allocation = owned(self, pointer, cudaMemoryTypeDevice);
    const StreamPointer stream = self.find_stream(handle);
    if (allocation == nullptr) return cudaErrorInvalidValue;
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    allocation->freeing = true;
    self.enqueue(stream, [=, &self] { self.release(pointer); });
    if (self.sticky != cudaSuccess) self.drop_work();
    return cudaSuccess;
  };
  return call(free, Kind::kCleanUp);
}
cudaError_t cudaFreeHost(void* pointer) {
  const auto free = [&](Runtime& self) {
    if (pointer == nullptr) return cudaSuccess;
    if (owned(self, pointer, cudaMemoryTypeHost) == nullptr) return cudaErrorInvalidValue;
    self.release(pointer);
    return cudaSuccess;
  };
  return call(free, Kind::kCleanUp);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return call([&](Runtime& self) { return copy(self, to, from, bytes, kind, self.find_stream(stream)); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return call([&](Runtime& self) {
    const StreamPointer stream = self.find_stream(nullptr);
    const cudaError_t error = copy(self, to, from, bytes, kind, stream);
    if (error == cudaSuccess) self.synchronize([&] { return stream->queue.empty(); });
    return error;
  });
}
cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  return call([&](Runtime& self) {
    if (bytes != 0 && self.memory_type(pointer) != cudaMemoryTypeDevice) return cudaErrorInvalidValue;
    return move_bytes(self, pointer, nullptr, bytes, self.find_stream(stream),
                      [=] { std::memset(pointer, value, bytes); });
  });
}
cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
  return cudaMemsetAsync(pointer, value, bytes, nullptr);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call([&](Runtime& self) {
    void* const address = const_cast<void*>(pointer);
    *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, address};
    if (const auto* found = self.find_allocation(pointer)) {
      const cudaMemoryType type = found->second.type;
      *attributes = {type, found->second.device, address, type == cudaMemoryTypeDevice ? nullptr : address};
    }
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int index) {
  return call([&](Runtime& self) {
    if (!self.is_device(index)) return cudaErrorInvalidDevice;
    *pool = &self.device(index).memory;
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call([&](Runtime&) {
    const std::uint64_t number = *static_cast<std::uint64_t*>(value);
    if (attribute == cudaMemPoolAttrReleaseThreshold) {
      pool->release_threshold = number;
    } else if (attribute == cudaMemPoolAttrUsedMemHigh && number == 0) {
      pool->highest = pool->used;
    } else {
      return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call([&](Runtime&) {
    const bool highest =
        attribute == cudaMemPoolAttrUsedMemHigh || attribute == cudaMemPoolAttrReservedMemHigh;
    *static_cast<std::uint64_t*>(value) = attribute == cudaMemPoolAttrReleaseThreshold
                                              ? pool->release_threshold
                                          : highest ? pool->highest
                                                    : pool->used;
    return cudaSuccess;
  });
}
