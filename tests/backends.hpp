// The backends that the contract is tested on: the CPU with every SIMD target of this machine, and several
// numbers of threads.
#pragma once

#include <hwy/highway.h>

#include <memory>
#include <string>
#include <vector>

#include "afp/backend.hpp"

namespace afp {

struct BackendCase {
  std::string name;
  std::int64_t simd_target;
  int threads;
};

// Targets from the best one down; for each, 1 to `most_threads` threads.
inline std::vector<BackendCase> backend_cases(int most_threads) {
  std::vector<BackendCase> cases;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
    for (int threads = 1; threads <= most_threads; ++threads)
      cases.push_back(
          {std::string("cpu ") + hwy::TargetName(target) + " " + std::to_string(threads), target, threads});
  return cases;
}

// A backend with its SIMD target in force as long as this lives.
class RunningBackend {
 public:
  explicit RunningBackend(const BackendCase& which) {
    hwy::SetSupportedTargetsForTest(which.simd_target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    backend_ = make_cpu_backend(which.threads);
  }
  ~RunningBackend() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  RunningBackend(const RunningBackend&) = delete;
  RunningBackend& operator=(const RunningBackend&) = delete;

  const Backend& operator*() const { return *backend_; }
  const Backend* operator->() const { return backend_.get(); }

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace afp
