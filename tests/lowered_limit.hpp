// Lowers one of the process's limits for as long as it lives: the way to a full disk or to too many
// open files that needs no special machine.
#pragma once

#include <sys/resource.h>

#include <csignal>

namespace afp {

class LoweredLimit {
 public:
  LoweredLimit(__rlimit_resource resource, rlim_t limit) : resource_(resource) {
    ::getrlimit(resource_, &before_);
    const rlimit lowered = {limit, before_.rlim_max};
    ::setrlimit(resource_, &lowered);
    before_signal_ = std::signal(SIGXFSZ, SIG_IGN);  // a write past RLIMIT_FSIZE then returns an error
  }
  LoweredLimit(const LoweredLimit&) = delete;
  LoweredLimit& operator=(const LoweredLimit&) = delete;
  ~LoweredLimit() {
    ::setrlimit(resource_, &before_);
    std::signal(SIGXFSZ, before_signal_);
  }

 private:
  __rlimit_resource resource_;
  rlimit before_ = {};
  void (*before_signal_)(int) = nullptr;
};

}  // namespace afp
