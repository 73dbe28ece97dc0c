// Bodies of lanes.hpp.
#include "host/cuda/lanes.hpp"

#include <algorithm>

namespace afp::cuda {

namespace {

// Some more than is asked for, where there is room: pieces differ, and growing waits for the device.
template <class Make>
auto grown(std::size_t bytes, const Make& make) {
  try {
    return make(bytes + bytes / 4);
  } catch (const OutOfMemory&) {
    return make(bytes);
  }
}

}  // namespace

std::byte* Lane::device_memory(std::size_t bytes) {
  if (device_memory_.size() < bytes) {
    device_memory_.release();
    device_memory_ =
        grown(bytes, [&](std::size_t size) { return DeviceBuffer(size, stream_.get(), device_.memory()); });
  }
  return device_memory_.data();
}

std::byte* Lane::staging(std::size_t bytes) {
  if (staging_.size() < bytes) {
    staging_.release();
    staging_ = grown(bytes, [](std::size_t size) { return PinnedBuffer(size); });
  }
  return staging_.data();
}

void Lane::release_memory() {
  device_memory_.release();
  staging_.release();
  stream_.synchronize();  // the device has it back now
}

LaneLease::~LaneLease() {
  pool_->give_back(*lane_);
}

LanePool::LanePool(std::span<const int> devices) {
  for (const int index : devices) {
    const CurrentDevice current(index);
    devices_.push_back(std::make_unique<Device>(index));
    for (int i = 0; i < kLanesOfDevice; ++i)
      slots_.push_back({std::make_unique<Lane>(*devices_.back()), false});
  }
}

LanePool::~LanePool() {
  for (Slot& slot : slots_) {
    const CurrentDevice current(slot.lane->device().index(), std::nothrow);
    slot.lane.reset();
  }
}

LanePool::Slot* LanePool::find_free() {
  Slot* best = nullptr;
  int fewest = kLanesOfDevice;
  for (std::size_t first = 0; first < slots_.size(); first += kLanesOfDevice) {
    const auto begin = slots_.begin() + static_cast<std::ptrdiff_t>(first), end = begin + kLanesOfDevice;
    const auto used =
        static_cast<int>(std::count_if(begin, end, [](const Slot& slot) { return slot.in_use; }));
    if (used >= fewest) continue;
    fewest = used;
    best = &*std::find_if(begin, end, [](const Slot& slot) { return !slot.in_use; });
  }
  return best;
}

std::unique_ptr<LaneLease> LanePool::take() {
  std::unique_lock lock(mutex_);
  Slot* slot = nullptr;
  freed_.wait(lock, [&] { return (slot = find_free()) != nullptr; });
  return lease(*slot);
}

std::unique_ptr<LaneLease> LanePool::try_take() {
  const std::lock_guard lock(mutex_);
  Slot* slot = find_free();
  return slot == nullptr ? nullptr : lease(*slot);
}

std::unique_ptr<LaneLease> LanePool::lease(Slot& slot) {
  auto lease = std::make_unique<LaneLease>(*this, *slot.lane);
  slot.in_use = true;
  return lease;
}

void LanePool::give_back(const Lane& lane) {
  {
    const std::lock_guard lock(mutex_);
    for (Slot& slot : slots_)
      if (slot.lane.get() == &lane) slot.in_use = false;
  }
  freed_.notify_one();
}

void LanePool::release_idle_memory() {
  const std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) {
    if (slot.in_use) continue;
    const CurrentDevice current(slot.lane->device().index());
    slot.lane->release_memory();
  }
}

}  // namespace afp::cuda
