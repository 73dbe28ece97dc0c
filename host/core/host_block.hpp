// HostBlock: a block of bytes of a memory resource, as it comes: pages that nobody writes to cost nothing.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <span>

namespace afp {

class HostBlock {
 public:
  // The resource must outlive the block.
  HostBlock(std::pmr::memory_resource& resource, std::size_t bytes)
      : resource_(resource), bytes_(static_cast<std::byte*>(resource.allocate(bytes)), bytes) {}
  ~HostBlock() { resource_.deallocate(bytes_.data(), bytes_.size()); }
  HostBlock(const HostBlock&) = delete;
  HostBlock& operator=(const HostBlock&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::pmr::memory_resource& resource_;
  std::span<std::byte> bytes_;
};

}  // namespace afp
