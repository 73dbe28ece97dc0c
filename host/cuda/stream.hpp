// Streams and events that are destroyed with their owners. They belong to the device that is current when
// they are made.
#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "host/cuda/check.hpp"

namespace afp::cuda {

class Event {
 public:
  // Whoever waits for it sleeps.
  Event() {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync),
          "making an event");
  }
  ~Event() { (void)cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  cudaEvent_t get() const { return event_; }
  void synchronize() const { check(cudaEventSynchronize(event_), "waiting for the device"); }

 private:
  cudaEvent_t event_ = nullptr;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
  ~Stream() { (void)cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  void record(const Event& event) const {
    check(cudaEventRecord(event.get(), stream_), "recording an event");
  }
  // What is put on the stream from now on begins once the event, as last recorded, has come.
  void wait(const Event& event) const {
    check(cudaStreamWaitEvent(stream_, event.get(), 0), "waiting for an event on a stream");
  }
  void synchronize() const { check(cudaStreamSynchronize(stream_), "waiting for the device"); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace afp::cuda
