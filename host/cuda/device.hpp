// A device: what it is, its two copy streams, and the memory taken from it.
#pragma once

#include <new>
#include <string>

#include "host/cuda/buffers.hpp"
#include "host/cuda/stream.hpp"

namespace afp::cuda {

// What the kernels need at least.
inline constexpr int kLeastCapability = 80;  // 8.0

// Whichever device becomes the calling thread's current one while this lives, the former is so again
// afterwards.
class CurrentDevice {
 public:
  CurrentDevice() { check(cudaGetDevice(&former_), "asking for the current device"); }
  explicit CurrentDevice(int index) : CurrentDevice() { become(index); }
  // For destructors: a device that has failed says so whatever it is asked.
  CurrentDevice(int index, std::nothrow_t) noexcept {
    (void)cudaGetDevice(&former_);
    (void)cudaSetDevice(index);
  }
  ~CurrentDevice() { (void)cudaSetDevice(former_); }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  static void become(int index) { check(cudaSetDevice(index), "choosing a device"); }

 private:
  int former_ = 0;
};

class Device {
 public:
  explicit Device(int index);  // which must be current

  int index() const { return index_; }
  const std::string& name() const { return name_; }  // "NVIDIA H200"
  int capability() const { return capability_; }     // 90
  int multiprocessors() const { return multiprocessors_; }

  const Stream& upload() const { return upload_; }
  const Stream& download() const { return download_; }
  MemoryMeter& memory() { return memory_; }
  const MemoryMeter& memory() const { return memory_; }

 private:
  int index_;
  std::string name_;
  int capability_ = 0;
  int multiprocessors_ = 0;
  Stream upload_, download_;
  MemoryMeter memory_;
};

}  // namespace afp::cuda
