#include "host/search/run_record.hpp"

#include <algorithm>
#include <utility>

#include "afp/error.hpp"

namespace afp::search_detail {

RunRecord::RunRecord(const SearchOptions& options)
    : stop_(options.stop), begin_(std::chrono::steady_clock::now()) {}

bool RunRecord::stopped() const {
  return stop_ != nullptr && stop_->load(std::memory_order_relaxed);
}

void RunRecord::throw_if_stopped() const {
  if (stopped()) throw Interrupted();
}

double RunRecord::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void RunRecord::found(std::uint64_t evaluations, double value) {
  if (value >= best_) return;
  best_ = value;
  trace_.push_back({evaluations, seconds(), value});
}

SearchResult RunRecord::finish(const SearchProblem& problem, std::vector<std::size_t> choice,
                               std::uint64_t evaluations, double bound, bool proven) {
  SearchResult result;
  for (std::size_t row = 0; row < problem.rows; ++row) {
    const std::size_t at = problem.at(row, choice[row]);
    result.cost += problem.costs[at];
    result.bytes += problem.bytes[at];
  }
  result.choice = std::move(choice);
  const double value = result.cost + problem.price * static_cast<double>(result.bytes);
  result.bound = proven ? value : std::min(bound, value);
  if (value > result.bound) result.gap = (value - result.bound) / result.bound;
  result.seconds = seconds();
  result.evaluations = evaluations;
  trace_.push_back({evaluations, result.seconds, value});
  result.trace = std::move(trace_);
  return result;
}

}  // namespace afp::search_detail
