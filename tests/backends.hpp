// The backends that the contract is tested on: the CPU with every SIMD target of this machine, and several
// numbers of threads; CUDA where there is a device. A program built with AFP_TEST_EMULATED has the CPU at its
// best and CUDA in emulation.
#pragma once

#include <hwy/highway.h>

#include <memory>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "host/cuda/cuda_backend.hpp"

#if defined(AFP_TEST_EMULATED)
#include <cuda_emulator.hpp>
#endif

namespace afp {

struct BackendCase {
  std::string name;
  std::int64_t simd_target;  // of the CPU
  int threads;
  bool is_cuda = false;
};

// Targets from the best one down; for each, 1 to `most_threads` threads. CUDA comes last.
inline std::vector<BackendCase> backend_cases(int most_threads) {
  std::vector<BackendCase> cases;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
#if defined(AFP_TEST_EMULATED)
    if (!cases.empty()) break;
    most_threads = 1;
#endif
    for (int threads = 1; threads <= most_threads; ++threads)
      cases.push_back(
          {std::string("cpu ") + hwy::TargetName(target) + " " + std::to_string(threads), target, threads});
  }
  if (unavailable(cuda_machine()).empty()) cases.push_back({"cuda", 0, 1, true});
  return cases;
}

// A backend with its SIMD target in force as long as this lives; in emulation with a schedule of threads of
// its own.
class RunningBackend {
 public:
  explicit RunningBackend(const BackendCase& which) {
    if (which.is_cuda) {
#if defined(AFP_TEST_EMULATED)
      static std::uint64_t schedule = 0;
      cuda_emulator::config().seed = ++schedule;
#endif
      const int device = 0;
      backend_ = make_cuda_backend({&device, 1}, which.threads);
      return;
    }
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

  const Backend& operator*() const {
    return *backend_;
  }
  const Backend* operator->() const {
    return backend_.get();
  }

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace afp
