// Named ranges on the time line of a profiler (NVTX). They cost nothing where none is attached.
#pragma once

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define AFP_HAS_NVTX 1
#else
#define AFP_HAS_NVTX 0
#endif

namespace afp::cuda {

class Range {
 public:
  explicit Range([[maybe_unused]] const char* name) {
#if AFP_HAS_NVTX
    nvtxRangePushA(name);
#endif
  }
  ~Range() {
#if AFP_HAS_NVTX
    nvtxRangePop();
#endif
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace afp::cuda
