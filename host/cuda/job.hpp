// Job: one piece of work on a lane. Inputs are copied to the device on its upload stream, kernels run on the
// lane's own, results come back on the download stream; events order the three.
//
//     Job job(lane);
//     const auto weights = job.input(bytes);           // declare what it needs
//     const auto scales = job.output<std::uint8_t>(n);
//     job.start();                                     // allocates, begins to copy
//     job.run(kernels::encode({..., job.at(weights), job.at(scales)}, job.stream()));
//     job.deliver(scales, destination);
//     ... other jobs on other lanes ...
//     job.finish();                                    // waits, and fills the destinations
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "host/cuda/lanes.hpp"

namespace afp::cuda {

// The job's device memory holds the inputs, behind them the outputs, and behind these what never leaves the
// device.
enum class Region { input, output, scratch };

// `count` values of T there.
template <class T>
struct Placed {
  std::size_t offset = 0;  // within the region
  std::size_t count = 0;
  Region region = Region::input;
};

class Job {
 public:
  explicit Job(std::unique_ptr<LaneLease> lane) : lane_(std::move(lane)) {}
  ~Job();  // waits for what it has put on the streams
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // The source must stay as it is until finish().
  template <class T>
  Placed<T> input(std::span<const T> source) {
    const Placed<T> placed = place<T>(source.size(), Region::input);
    if (!source.empty()) sources_.push_back({placed.offset, Region::input, std::as_bytes(source), {}});
    return placed;
  }
  // Written by fill(std::span<T>) in start(), when at() knows where everything is.
  template <class T, class Fill>
  Placed<T> input(std::size_t count, const Fill& fill) {
    return filled(place<T>(count, Region::input), fill);
  }
  // Undefined to begin with, or filled likewise.
  template <class T>
  Placed<T> output(std::size_t count) {
    return place<T>(count, Region::output);
  }
  template <class T, class Fill>
  Placed<T> output(std::size_t count, const Fill& fill) {
    return filled(place<T>(count, Region::output), fill);
  }

  // For kernels alone: not to be delivered.
  template <class T>
  Placed<T> scratch(std::size_t count) {
    return place<T>(count, Region::scratch);
  }

  // Throws OutOfMemory, after which the lane is free for a smaller job. The lane's device becomes the current
  // one.
  void start();

  template <class T>
  T* at(Placed<T> placed) const {
    return placed.count == 0 ? nullptr : reinterpret_cast<T*>(begin_of(placed.region) + placed.offset);
  }
  cudaStream_t stream() const { return (*lane_)->stream().get(); }
  int multiprocessors() const { return (*lane_)->device().multiprocessors(); }

  template <class T>
  void clear(Placed<T> placed) {
    if (placed.count != 0)
      check(cudaMemsetAsync(at(placed), 0, placed.count * sizeof(T), stream()), "clearing device memory");
  }
  // What a launcher said.
  void run(cudaError_t launched, const std::source_location& place = std::source_location::current()) const {
    check(launched, "starting a kernel", place);
  }

  // An output to copy into the destination, or to hand to `take` as a span, in finish(). (A pinned
  // destination is written to before that.)
  template <class T>
  void deliver(Placed<T> placed, std::span<T> destination) {
    if (placed.count != 0)
      results_.push_back({placed.offset, std::as_writable_bytes(destination.first(placed.count)), {}});
  }
  template <class T, class Take>
  void deliver(Placed<T> placed, const Take& take) {
    results_.push_back({placed.offset,
                        {static_cast<std::byte*>(nullptr), placed.count * sizeof(T)},
                        [take, count = placed.count](const std::byte* at) {
                          take(std::span<const T>(reinterpret_cast<const T*>(at), count));
                        }});
  }
  // Puts the copies of the results on their way; finish() does so where this was not called.
  void download();
  void finish();

 private:
  static constexpr std::size_t kAlignment = 256;

  struct Source {
    std::size_t offset;
    Region region;
    std::span<const std::byte> bytes;
    std::function<void(std::byte*)> fill;  // in place of the bytes, of which only the number counts then
  };
  struct Result {  // among the outputs
    std::size_t offset;
    std::span<std::byte> destination;
    std::function<void(const std::byte*)> take;  // in place of the destination, of which only the size counts
    bool is_direct = false;
  };

  static std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
  template <class T>
  Placed<T> place(std::size_t count, Region region) {
    std::size_t& end = ends_[static_cast<int>(region)];
    const Placed<T> placed{end, count, region};
    end = aligned(end + count * sizeof(T));
    return placed;
  }
  std::size_t size_of(Region region) const { return ends_[static_cast<int>(region)]; }
  std::byte* begin_of(Region region) const {
    std::byte* begin = memory_;
    for (int before = 0; before < static_cast<int>(region); ++before) begin += ends_[before];
    return begin;
  }
  template <class T, class Fill>
  Placed<T> filled(Placed<T> placed, const Fill& fill) {
    sources_.push_back({placed.offset,
                        placed.region,
                        {static_cast<const std::byte*>(nullptr), placed.count * sizeof(T)},
                        [fill, count = placed.count](std::byte* to) {
                          fill(std::span<T>(reinterpret_cast<T*>(to), count));
                        }});
    return placed;
  }
  Lane& lane() const { return **lane_; }

  std::unique_ptr<LaneLease> lane_;
  std::size_t ends_[3] = {};  // of the regions
  std::vector<Source> sources_;
  std::vector<Result> results_;
  std::byte* memory_ = nullptr;
  std::byte* outputs_staging_ = nullptr;  // laid out as the outputs are
  bool started_ = false, downloading_ = false;
};

}  // namespace afp::cuda
