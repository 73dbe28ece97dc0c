#include "host/search/open_core.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "host/search/open_rows.hpp"

namespace afp::search_detail {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// A pass keeps at most so many states a row; the next pass, which starts from the best choice so far, more.
constexpr std::size_t kFirstWidth = 500;
constexpr std::size_t kWiden = 6;

struct State {
  std::int64_t bytes;  // less those of the base
  double value;        // likewise
  std::uint32_t parent;
  std::uint32_t item;
};

// How a state came about, kept of every row.
struct Step {
  std::uint32_t parent;
  std::uint32_t item;
};

// One pass over the rows.
class CorePass {
 public:
  CorePass(const OpenCoreProblem& problem, double best, std::size_t width, std::uint64_t most_states,
           const std::function<void()>& between_rows)
      : problem_(problem),
        room_(static_cast<std::int64_t>(problem.room)),
        floor_(-problem.price * static_cast<double>(problem.room)),
        best_(best),
        width_(width),
        most_states_(most_states),
        between_rows_(between_rows) {}

  OpenCoreResult run() {
    find_open_rows();
    undecided_.emplace(open_);
    std::vector<State> states = {{0, 0.0, 0, problem_.base.empty() ? 0 : problem_.base[0]}};
    for (std::size_t i = 0; i < open_.size() && !states.empty(); ++i) {
      between_rows_();
      if (made_ > most_states_) {
        drop_all(states);
        break;
      }
      states = expand(i, states);
      keep_promising(states);
      take_best(i, states);
      auto& steps = steps_.emplace_back();
      steps.reserve(states.size());
      for (const State& state : states) steps.push_back({state.parent, state.item});
    }
    return result();
  }

 private:
  // Whether a choice with this change may be better than the best: the relaxation's value with it.
  bool may_help(const Change& change) const {
    return floor_ + change.value + problem_.price * static_cast<double>(change.bytes) < best_;
  }

  void find_open_rows() {
    for (std::size_t row = 0; row < problem_.items.rows(); ++row) {
      const auto items = problem_.items.row(row);
      const std::uint32_t base = problem_.base[row];
      OpenRow open{static_cast<std::uint32_t>(row), {}, kInfinity};
      for (std::uint32_t i = 0; i < items.size(); ++i) {
        const Change change{static_cast<std::int64_t>(items[i].bytes - items[base].bytes),
                            items[i].value - items[base].value, i};
        if (i != base && !may_help(change)) continue;
        open.changes.push_back(change);
        if (i == base) continue;
        const double slope = -change.value / static_cast<double>(change.bytes);
        open.distance =
            std::min(open.distance, change.bytes > 0 ? problem_.price - slope : slope - problem_.price);
      }
      if (open.changes.size() > 1) open_.push_back(std::move(open));
    }
    std::sort(open_.begin(), open_.end(), [](const OpenRow& a, const OpenRow& b) {
      return std::tie(a.distance, a.row) < std::tie(b.distance, b.row);
    });
  }

  // Readies bound() for the states after row i.
  void advance(std::size_t i, const std::vector<State>& states) {
    const auto& changes = open_[i].changes;
    undecided_->advance(i + 1, room_ - states.front().bytes - changes.front().bytes,
                        states.back().bytes + changes.back().bytes - room_);
  }

  // No choice that continues such a state has less value.
  double bound(std::int64_t bytes, double value) const { return value + undecided_->bound(room_ - bytes); }

  // The states after row i: by ascending bytes, and so by descending value.
  std::vector<State> expand(std::size_t i, const std::vector<State>& states) {
    advance(i, states);
    std::vector<State> merged, added;
    for (const Change& change : open_[i].changes) {
      if (change.item != problem_.base[open_[i].row] && !may_help(change)) continue;
      added.clear();
      merge_buffer_.clear();
      for (std::size_t s = 0; s < states.size(); ++s) {
        const std::int64_t bytes = states[s].bytes + change.bytes;
        const double value = states[s].value + change.value;
        if (bound(bytes, value) < best_)
          added.push_back({bytes, value, static_cast<std::uint32_t>(s), change.item});
      }
      made_ += states.size();
      merge(merged, added, merge_buffer_);
      std::swap(merged, merge_buffer_);
    }
    return merged;
  }

  static void merge(const std::vector<State>& a, const std::vector<State>& b, std::vector<State>& out) {
    out.reserve(a.size() + b.size());
    std::size_t i = 0, j = 0;
    while (i < a.size() || j < b.size()) {
      const bool from_a = j == b.size() || (i < a.size() && std::tie(a[i].bytes, a[i].value) <=
                                                                std::tie(b[j].bytes, b[j].value));
      const State& next = from_a ? a[i++] : b[j++];
      if (out.empty() || next.value < out.back().value) out.push_back(next);
    }
  }

  void drop_all(const std::vector<State>& states) {
    for (const State& state : states) dropped_ = std::min(dropped_, bound(state.bytes, state.value));
  }

  // Drops the states of the greatest bounds where there are more than the pass may keep.
  void keep_promising(std::vector<State>& states) {
    if (states.size() <= width_) return;
    std::vector<double> bounds;
    bounds.reserve(states.size());
    for (const State& state : states) bounds.push_back(bound(state.bytes, state.value));
    std::vector<double> sorted = bounds;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(width_), sorted.end());
    const double limit = sorted[width_];
    dropped_ = std::min(dropped_, limit);
    // Of those at the limit, evenly spread ones fill up the width: where bytes and values go together, all
    // are.
    const auto below = static_cast<std::size_t>(
        std::count_if(bounds.begin(), bounds.end(), [&](double bound) { return bound < limit; }));
    const auto at_limit = static_cast<std::size_t>(std::count(bounds.begin(), bounds.end(), limit));
    const std::size_t free = width_ - below;
    std::size_t kept = 0, seen = 0;
    for (std::size_t s = 0; s < states.size(); ++s) {
      bool keep = bounds[s] < limit;
      if (bounds[s] == limit) {
        keep = (seen + 1) * free / at_limit > seen * free / at_limit;
        ++seen;
      }
      if (keep) states[kept++] = states[s];
    }
    states.resize(kept);
  }

  void take_best(std::size_t i, const std::vector<State>& states) {
    // Values descend: the last state that fits has the least.
    const auto above = std::upper_bound(states.begin(), states.end(), room_,
                                        [](std::int64_t room, const State& s) { return room < s.bytes; });
    if (above == states.begin()) return;
    const auto last = above - 1;
    if (!(last->value < best_)) return;
    best_ = last->value;
    best_row_ = i;
    best_state_ = static_cast<std::size_t>(last - states.begin());
    improved_ = true;
  }

  OpenCoreResult result() const {
    OpenCoreResult result;
    result.improved = improved_;
    result.best = best_;
    result.bound = std::max(floor_, std::min(best_, dropped_));
    result.states = made_;
    if (!improved_) return result;
    result.item = problem_.base;
    std::size_t state = best_state_;
    for (std::size_t i = best_row_ + 1; i-- > 0;) {
      const Step step = steps_[i][state];
      result.item[open_[i].row] = step.item;
      state = step.parent;
    }
    return result;
  }

  const OpenCoreProblem& problem_;
  std::int64_t room_;
  double floor_;  // the relaxation's bound, less the base's value
  double best_;
  std::size_t width_;
  std::uint64_t most_states_;
  const std::function<void()>& between_rows_;

  std::vector<OpenRow> open_;
  std::optional<UndecidedRows> undecided_;
  std::vector<std::vector<Step>> steps_;
  std::vector<State> merge_buffer_;
  double dropped_ = kInfinity;  // the least bound of a dropped state
  std::uint64_t made_ = 0;
  bool improved_ = false;
  std::size_t best_row_ = 0, best_state_ = 0;
};

}  // namespace

OpenCoreResult solve_open_core(const OpenCoreProblem& problem, const std::function<void()>& between_rows) {
  OpenCoreResult result;
  result.best = problem.best;
  result.bound = -std::numeric_limits<double>::infinity();
  for (std::size_t width = kFirstWidth; result.states <= problem.most_states; width *= kWiden) {
    OpenCoreResult pass =
        CorePass(problem, result.best, width, problem.most_states - result.states, between_rows).run();
    result.states += pass.states;
    result.best = pass.best;
    result.bound = std::min(std::max(result.bound, pass.bound), result.best);
    if (pass.improved) {
      result.improved = true;
      result.item = std::move(pass.item);
    }
    if (result.bound >= result.best) break;
  }
  return result;
}

}  // namespace afp::search_detail
