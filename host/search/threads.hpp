// The threads that a solver works on; none of its results depends on how many they are.
#pragma once

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cstddef>
#include <optional>

#include "afp/search.hpp"

namespace afp::search_detail {

class Threads {
 public:
  explicit Threads(const SearchOptions& options)
      : count_(options.threads > 0 ? options.threads : tbb::info::default_concurrency()), arena_(count_) {
    // Without leave to run more threads than the machine has, oneTBB warns on stderr and ignores the wish.
    if (count_ > tbb::info::default_concurrency())
      leave_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(count_));
  }

  // body(i) for every i in first..end-1, in any order.
  template <class Body>
  void each(std::size_t first, std::size_t end, const Body& body) {
    arena_.execute([&] { tbb::parallel_for(first, end, body); });
  }

 private:
  int count_;
  std::optional<tbb::global_control> leave_;
  tbb::task_arena arena_;
};

}  // namespace afp::search_detail
