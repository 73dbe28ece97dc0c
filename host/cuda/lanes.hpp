// Lanes: what one piece of work needs on its way over a device. Two lanes or more keep a device busy in both
// copy directions and in between: while one computes, the next is being copied in and the one before copied
// out.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "host/cuda/buffers.hpp"
#include "host/cuda/device.hpp"
#include "host/cuda/stream.hpp"

namespace afp::cuda {

class Lane {
 public:
  explicit Lane(Device& device) : device_(device) {}

  Device& device() { return device_; }
  const Stream& stream() const { return stream_; }

  // At least so many bytes, whose content is lost when they have to grow. Throw OutOfMemory.
  std::byte* device_memory(std::size_t bytes);
  std::byte* staging(std::size_t bytes);  // pinned
  void release_memory();                  // of an idle lane

  // In the order in which a piece passes them.
  Event allocated, uploaded, computed, downloaded;

 private:
  Device& device_;
  Stream stream_;
  DeviceBuffer device_memory_;
  PinnedBuffer staging_;
};

class LanePool;

// A lane for as long as this lives.
class LaneLease {
 public:
  LaneLease(LanePool& pool, Lane& lane) : pool_(&pool), lane_(&lane) {}
  ~LaneLease();
  LaneLease(const LaneLease&) = delete;
  LaneLease& operator=(const LaneLease&) = delete;

  Lane& operator*() const { return *lane_; }
  Lane* operator->() const { return lane_; }

 private:
  LanePool* pool_;
  Lane* lane_;
};

// The lanes of all devices. Work goes to the device with the fewest lanes in use.
class LanePool {
 public:
  static constexpr int kLanesOfDevice = 4;

  explicit LanePool(std::span<const int> devices);
  ~LanePool();

  // Waits for a lane where all are in use.
  std::unique_ptr<LaneLease> take();
  std::unique_ptr<LaneLease> try_take();  // null instead of waiting

  // Gives back the memory of lanes that are not in use.
  void release_idle_memory();

  const std::vector<std::unique_ptr<Device>>& devices() const { return devices_; }

 private:
  friend class LaneLease;
  struct Slot {
    std::unique_ptr<Lane> lane;
    bool in_use = false;
  };

  Slot* find_free();
  std::unique_ptr<LaneLease> lease(Slot& slot);
  void give_back(const Lane& lane);

  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<Slot> slots_;  // device by device
  std::mutex mutex_;
  std::condition_variable freed_;
};

}  // namespace afp::cuda
