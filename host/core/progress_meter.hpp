// Counts bytes for a progress callback and keeps its calls apart in time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "afp/progress.hpp"

namespace afp {

// Not thread-safe: used by the one stage that reads.
class ProgressMeter {
 public:
  ProgressMeter(const ProgressCallback& callback, std::uint64_t total) : callback_(callback) {
    progress_.bytes_total = total;
  }

  void add(std::uint64_t bytes, const std::string& tensor) {
    progress_.bytes_done += bytes;
    const auto now = std::chrono::steady_clock::now();
    if (!callback_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    progress_.tensor = tensor;
    callback_(progress_);
  }
  void finish() {
    progress_.tensor.clear();
    if (callback_) callback_(progress_);
  }

 private:
  const ProgressCallback& callback_;
  Progress progress_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace afp
