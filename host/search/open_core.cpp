#include "host/search/open_core.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace afp::search_detail {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kLeastStates = 256;  // a row may keep, even when the work is used up

// An item seen from its row's base.
struct Change {
  std::int64_t bytes;
  double value;
  std::uint32_t item;
};

struct OpenRow {
  std::uint32_t row;
  std::vector<Change> changes;  // the base among them
  double gain;                  // the most value that a byte more can save, 0 if none can
  double loss;                  // the least value that a byte less costs, infinite if none can be saved
  double distance;              // of these two from the price
};

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

class CoreSearch {
 public:
  CoreSearch(const OpenCoreProblem& problem, const std::function<void()>& between_rows)
      : problem_(problem),
        room_(static_cast<std::int64_t>(problem.room)),
        floor_(-problem.price * static_cast<double>(problem.room)),
        best_(problem.best),
        between_rows_(between_rows) {}

  OpenCoreResult solve() {
    find_open_rows();
    bound_what_is_left();
    std::vector<State> states = {{0, 0.0, 0, problem_.base.empty() ? 0 : problem_.base[0]}};
    for (std::size_t i = 0; i < open_.size() && !states.empty(); ++i) {
      between_rows_();
      states = expand(i, states);
      keep_promising(i, states);
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
      OpenRow open{static_cast<std::uint32_t>(row), {}, 0.0, kInfinity, 0.0};
      for (std::uint32_t i = 0; i < items.size(); ++i) {
        const Change change{static_cast<std::int64_t>(items[i].bytes - items[base].bytes),
                            items[i].value - items[base].value, i};
        if (i != base && !may_help(change)) continue;
        open.changes.push_back(change);
        const double rate = -change.value / static_cast<double>(change.bytes);
        if (change.bytes > 0) open.gain = std::max(open.gain, rate);
        if (change.bytes < 0) open.loss = std::min(open.loss, rate);
      }
      open.distance = std::min(problem_.price - open.gain, open.loss - problem_.price);
      if (open.changes.size() > 1) open_.push_back(std::move(open));
    }
    std::sort(open_.begin(), open_.end(), [](const OpenRow& a, const OpenRow& b) {
      return std::tie(a.distance, a.row) < std::tie(b.distance, b.row);
    });
  }

  void bound_what_is_left() {
    gain_left_.assign(open_.size() + 1, 0.0);
    loss_left_.assign(open_.size() + 1, kInfinity);
    for (std::size_t i = open_.size(); i-- > 0;) {
      gain_left_[i] = std::max(gain_left_[i + 1], open_[i].gain);
      loss_left_[i] = std::min(loss_left_[i + 1], open_[i].loss);
    }
  }

  // No choice that continues this state, whose first i rows are decided, has less value.
  double bound(std::size_t i, std::int64_t bytes, double value) const {
    const std::int64_t room = room_ - bytes;
    return room >= 0 ? value - gain_left_[i] * static_cast<double>(room)
                     : value + loss_left_[i] * static_cast<double>(-room);
  }

  // The states after row i: by ascending bytes, and so by descending value.
  std::vector<State> expand(std::size_t i, const std::vector<State>& states) {
    std::vector<State> merged, added;
    for (const Change& change : open_[i].changes) {
      if (change.item != problem_.base[open_[i].row] && !may_help(change)) continue;
      added.clear();
      merge_buffer_.clear();
      for (std::size_t s = 0; s < states.size(); ++s) {
        const std::int64_t bytes = states[s].bytes + change.bytes;
        const double value = states[s].value + change.value;
        if (bound(i + 1, bytes, value) < best_)
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

  // Drops the states of the greatest bounds where there are more than the work left allows.
  void keep_promising(std::size_t i, std::vector<State>& states) {
    const std::uint64_t left = problem_.most_states > made_ ? problem_.most_states - made_ : 0;
    const std::size_t rows_left = open_.size() - i;
    const std::size_t most = std::max<std::size_t>(kLeastStates, left / rows_left / 2);
    if (states.size() <= most) return;
    std::vector<double> bounds;
    bounds.reserve(states.size());
    for (const State& state : states) bounds.push_back(bound(i + 1, state.bytes, state.value));
    std::vector<double> sorted = bounds;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(most), sorted.end());
    const double first_dropped = sorted[most];
    dropped_ = std::min(dropped_, first_dropped);
    std::size_t kept = 0;
    for (std::size_t s = 0; s < states.size(); ++s)
      if (bounds[s] < first_dropped) states[kept++] = states[s];
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
  const std::function<void()>& between_rows_;

  std::vector<OpenRow> open_;
  std::vector<double> gain_left_, loss_left_;  // of the rows from i on
  std::vector<std::vector<Step>> steps_;
  std::vector<State> merge_buffer_;
  double dropped_ = kInfinity;  // the least bound of a dropped state
  std::uint64_t made_ = 0;
  bool improved_ = false;
  std::size_t best_row_ = 0, best_state_ = 0;
};

}  // namespace

OpenCoreResult solve_open_core(const OpenCoreProblem& problem, const std::function<void()>& between_rows) {
  return CoreSearch(problem, between_rows).solve();
}

}  // namespace afp::search_detail
