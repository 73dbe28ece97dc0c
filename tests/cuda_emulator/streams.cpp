// Streams and events: queues whose work runs late, in an order that is a function of the seed.
#include <algorithm>
#include <chrono>

#include "runtime.hpp"

namespace cuda_emulator {

bool Mark::reached() const { return stream == nullptr || stream->done >= count; }

StreamPointer Runtime::find_stream(cudaStream_t handle) {
  if (handle == nullptr) return device(current_device).null_stream;
  for (const StreamPointer& stream : streams) {
    if (stream.get() == handle && !stream->destroyed && stream->device == current_device) return stream;
  }
  return nullptr;
}

void Runtime::enqueue(const StreamPointer& stream, std::function<void()> run, const Mark& after) {
  Work work{std::move(run), {}};
  if (!after.reached()) work.after.push_back(after);
  const StreamPointer null_stream = device(stream->device).null_stream;
  if (stream == null_stream) {
    for (const StreamPointer& other : streams) {
      if (other->blocking && other->device == stream->device) work.after.push_back({other, other->queued});
    }
  } else if (stream->blocking) {
    work.after.push_back({null_stream, null_stream->queued});
  }
  stream->queue.push_back(std::move(work));
  ++stream->queued;
  if (eager()) run_all();
  while (!eager() && random.below(3) == 0 && step()) {  // a device may be fast, too
  }
}

std::function<void()> Runtime::unless(const Fault& fault, std::uint64_t count, std::function<void()> run) {
  if (!fault.hits(count)) return run;
  return [this] { poison(cudaErrorIllegalAddress); };
}

bool Runtime::step() {
  std::vector<StreamPointer> candidates;
  for (const StreamPointer& stream : streams) {
    if (stream->queue.empty()) continue;
    const auto& after = stream->queue.front().after;
    if (std::all_of(after.begin(), after.end(), [](const Mark& mark) { return mark.reached(); })) {
      candidates.push_back(stream);
    }
  }
  if (candidates.empty()) return false;
  CUstream_st& stream =
      *candidates[eager() ? 0 : random.below(static_cast<std::uint32_t>(candidates.size()))];
  const Work work = std::move(stream.queue.front());
  stream.queue.pop_front();
  ++stream.done;
  open_device_memory(true);
  try {
    if (work.run) work.run();
  } catch (...) {
    failure = std::current_exception();
    poison(cudaErrorLaunchFailure);
  }
  open_device_memory(false);
  std::erase_if(streams, [](const StreamPointer& s) { return s->destroyed && s->queue.empty(); });
  return true;
}

void Runtime::run_all() {
  while (step()) {
  }
}

void Runtime::synchronize(const std::function<bool()>& reached) {
  if (config.fail_synchronize.hits(++counters.synchronisations)) poison(cudaErrorIllegalAddress);
  while (!reached() && step()) {
  }
}

// Time passes with every query, so that a loop of them comes to its end.
cudaError_t Runtime::query(const Mark& mark) {
  if (mark.reached()) return cudaSuccess;
  step();
  return mark.reached() ? cudaSuccess : cudaErrorNotReady;
}

void Runtime::drop_work() {
  for (const StreamPointer& stream : streams) {
    stream->queue.clear();
    stream->done = stream->queued;
  }
  std::vector<const void*> freeing;
  for (const auto& [data, allocation] : allocations) {
    if (allocation.freeing) freeing.push_back(data);
  }
  for (const void* data : freeing) release(data);
}

void Runtime::poison(cudaError_t error) {
  sticky = error;
  drop_work();
}

void Runtime::rethrow_failure() {
  if (failure && std::uncaught_exceptions() == 0) std::rethrow_exception(std::exchange(failure, nullptr));
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return call([&](Runtime& self) {
    self.streams.push_back(std::make_shared<CUstream_st>());
    *stream = self.streams.back().get();
    (*stream)->device = current_device;
    (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  const auto destroy = [&](Runtime& self) {
    for (const StreamPointer& stream : self.streams) {
      if (handle == nullptr || stream.get() != handle || stream->destroyed) continue;
      stream->destroyed = true;  // its work still runs
      std::erase_if(self.streams,
                    [&](const StreamPointer& s) { return s.get() == handle && s->queue.empty(); });
      return cudaSuccess;
    }
    return cudaErrorInvalidResourceHandle;
  };
  return call(destroy, Kind::kCleanUp);
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call([&](Runtime& self) {
    const StreamPointer stream = self.find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    self.synchronize([&] { return stream->queue.empty(); });
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSynchronize() {
  return call([](Runtime& self) {
    const auto is_done = [](const StreamPointer& s) {
      return s->device != current_device || s->queue.empty();
    };
    self.synchronize([&] { return std::all_of(self.streams.begin(), self.streams.end(), is_done); });
    return cudaSuccess;
  });
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call([&](Runtime& self) {
    const StreamPointer stream = self.find_stream(handle);
    return stream == nullptr ? cudaErrorInvalidResourceHandle : self.query({stream, stream->queued});
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return call([&](Runtime& self) {
    const StreamPointer stream = self.find_stream(handle);
    if (stream == nullptr || !self.events.contains(event)) return cudaErrorInvalidResourceHandle;
    self.enqueue(stream, nullptr, event->mark);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call([&](Runtime& self) {
    *event = new CUevent_st{(flags & cudaEventDisableTiming) == 0, {}, nullptr};
    self.events.insert(*event);
    return cudaSuccess;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const auto destroy = [&](Runtime& self) {
    if (self.events.erase(event) == 0) return cudaErrorInvalidResourceHandle;
    delete event;
    return cudaSuccess;
  };
  return call(destroy, Kind::kCleanUp);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return call([&](Runtime& self) {
    const StreamPointer stream = self.find_stream(handle);
    if (stream == nullptr || !self.events.contains(event)) return cudaErrorInvalidResourceHandle;
    event->time = std::make_shared<std::chrono::steady_clock::time_point>();
    event->mark = {stream, stream->queued + 1};
    self.enqueue(stream, [time = event->time] { *time = std::chrono::steady_clock::now(); });
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&](Runtime& self) {
    if (!self.events.contains(event)) return cudaErrorInvalidResourceHandle;
    self.synchronize([mark = event->mark] { return mark.reached(); });
    return cudaSuccess;
  });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&](Runtime& self) {
    return self.events.contains(event) ? self.query(event->mark) : cudaErrorInvalidResourceHandle;
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call([&](Runtime& self) {
    for (const cudaEvent_t event : {start, end}) {
      if (!self.events.contains(event) || !event->timed || event->time == nullptr) {
        return cudaErrorInvalidResourceHandle;
      }
    }
    if (!start->mark.reached() || !end->mark.reached()) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
    return cudaSuccess;
  });
}
