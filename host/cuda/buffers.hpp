// Memory that is freed with its owner: of a device, allocated and freed in the order of a stream, and of the
// host, pinned, for copies that need not wait.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace afp::cuda {

// Bytes of device memory in use, and the most there were at a time.
class MemoryMeter {
 public:
  void add(std::uint64_t bytes) {
    const std::uint64_t now = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    std::uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (peak < now && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }
  void remove(std::uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t peak() const { return peak_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> used_ = 0, peak_ = 0;
};

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  // Usable on the stream, elsewhere after an event of it. The stream and the meter must outlive the buffer.
  // Throws OutOfMemory.
  DeviceBuffer(std::size_t bytes, cudaStream_t stream, MemoryMeter& meter);
  ~DeviceBuffer() { release(); }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  void release();  // once what is on the stream now is done

 private:
  void swap(DeviceBuffer& other) noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  cudaStream_t stream_ = nullptr;
  MemoryMeter* meter_ = nullptr;
};

class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);  // throws OutOfMemory
  ~PinnedBuffer() { release(); }
  PinnedBuffer(PinnedBuffer&& other) noexcept { swap(other); }
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  void release();

 private:
  void swap(PinnedBuffer& other) noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Whether a copy from or to these bytes, one at least, runs beside the host.
bool is_pinned(std::span<const std::byte> bytes);

}  // namespace afp::cuda
