// How many threads a solver takes; none of its results depends on it.
#pragma once

#include <tbb/info.h>
#include <tbb/task_arena.h>

#include "afp/search.hpp"

namespace afp::search_detail {

inline int thread_count(const SearchOptions& options) {
  return options.threads > 0 ? options.threads : tbb::info::default_concurrency();
}

}  // namespace afp::search_detail
