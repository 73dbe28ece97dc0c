// Progress: what long operations tell their caller while they run, and how they are told to stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "afp/backend_choice.hpp"

namespace afp {

struct Progress {
  std::uint64_t bytes_done = 0;  // of source data
  std::uint64_t bytes_total = 0;
  std::string tensor;  // the one being worked on
};

// Called from one thread at a time, at most some ten times a second and once at the end.
using ProgressCallback = std::function<void(const Progress&)>;

// What a long operation is run with: on what, how many threads and bytes it may use, whom it tells.
struct RunOptions {
  BackendChoice backend;
  int threads = 0;                          // 0: as many as the machine has
  std::uint64_t memory_budget = 512 << 20;  // bytes the whole process should stay under, at least 64 MiB
  ProgressCallback progress;                // may be empty
  const std::atomic<bool>* stop = nullptr;  // when it becomes true the operation ends with Interrupted
};

}  // namespace afp
