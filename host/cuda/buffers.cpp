// Bodies of buffers.hpp.
#include "host/cuda/buffers.hpp"

#include <string>
#include <utility>

#include "host/cuda/check.hpp"

namespace afp::cuda {

DeviceBuffer::DeviceBuffer(std::size_t bytes, cudaStream_t stream, MemoryMeter& meter)
    : stream_(stream), meter_(&meter) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t error = cudaMallocAsync(&memory, bytes, stream);
  if (error != cudaSuccess) fail(error, "allocating " + std::to_string(bytes) + " bytes of device memory");
  data_ = static_cast<std::byte*>(memory);
  size_ = bytes;
  meter_->add(bytes);
}

void DeviceBuffer::release() {
  if (data_ == nullptr) return;
  (void)cudaFreeAsync(data_, stream_);
  meter_->remove(size_);
  data_ = nullptr;
  size_ = 0;
}

void DeviceBuffer::swap(DeviceBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(stream_, other.stream_);
  std::swap(meter_, other.meter_);
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t error = cudaMallocHost(&memory, bytes);
  if (error != cudaSuccess)
    fail(error, "allocating " + std::to_string(bytes) + " bytes of pinned host memory");
  data_ = static_cast<std::byte*>(memory);
  size_ = bytes;
}

void PinnedBuffer::release() {
  if (data_ == nullptr) return;
  (void)cudaFreeHost(data_);
  data_ = nullptr;
  size_ = 0;
}

void PinnedBuffer::swap(PinnedBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
}

bool is_pinned(std::span<const std::byte> bytes) {
  // A stretch of the host's memory may have been pinned in part.
  for (const std::byte* const place : {&bytes.front(), &bytes.back()}) {
    cudaPointerAttributes attributes{};
    if (cudaPointerGetAttributes(&attributes, place) != cudaSuccess) {
      (void)cudaGetLastError();
      return false;
    }
    if (attributes.type != cudaMemoryTypeHost) return false;
  }
  return true;
}

}  // namespace afp::cuda
