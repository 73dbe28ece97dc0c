// What every solver keeps while it runs: the clock, the trace, and the wish to stop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "afp/search.hpp"

namespace afp::search_detail {

class RunRecord {
 public:
  explicit RunRecord(const SearchOptions& options);

  void throw_if_stopped() const;  // Interrupted
  bool stopped() const;

  // After so many evaluations an assignment of this value was found: a trace point where it is the best.
  void found(std::uint64_t evaluations, double value);
  double best() const { return best_; }

  // Sums up the choice. `bound` is one that no value goes below; with `proven` it is the choice's own value.
  SearchResult finish(const SearchProblem& problem, std::vector<std::size_t> choice,
                      std::uint64_t evaluations, double bound, bool proven = false);

 private:
  double seconds() const;

  const std::atomic<bool>* stop_;
  std::chrono::steady_clock::time_point begin_;
  std::vector<SearchResult::TracePoint> trace_;
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace afp::search_detail
