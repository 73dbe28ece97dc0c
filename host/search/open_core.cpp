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
constexpr std::size_t kFirstWidth = 300;
constexpr std::size_t kWiden = 10;
constexpr std::size_t kLastWidth = 50;  // where the work is used up in the midst of a pass

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
      if (made_ > most_states_) width_ = kLastWidth;
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
    const auto& changes = open_[i].changes;
    if (made_lists_.size() < changes.size() * states.size()) {
      made_lists_.resize(changes.size() * states.size());
      merged_lists_.resize(made_lists_.size());
    }
    // A list for every change, each ascending as the states are, then merged two by two.
    std::vector<std::size_t> ends;
    State* out = made_lists_.data();
    for (const Change& change : changes) {
      if (change.item != problem_.base[open_[i].row] && !may_help(change)) continue;
      for (std::size_t s = 0; s < states.size(); ++s) {
        *out = {states[s].bytes + change.bytes, states[s].value + change.value, static_cast<std::uint32_t>(s),
                change.item};
        out += bound(out->bytes, out->value) < best_ ? 1 : 0;
      }
      made_ += states.size();
      ends.push_back(static_cast<std::size_t>(out - made_lists_.data()));
    }
    while (ends.size() > 1) merge_pairs(ends);
    return {made_lists_.begin(), made_lists_.begin() + static_cast<std::ptrdiff_t>(ends.front())};
  }

  // Merges the first list of made_lists_ with the second, the third with the fourth...
  void merge_pairs(std::vector<std::size_t>& ends) {
    State* out = merged_lists_.data();
    std::size_t begin = 0, kept = 0;
    for (std::size_t list = 0; list < ends.size(); list += 2) {
      const std::size_t middle = ends[list], end = list + 1 < ends.size() ? ends[list + 1] : middle;
      out = merge(made_lists_.data() + begin, made_lists_.data() + middle, made_lists_.data() + end, out);
      begin = end;
      ends[kept++] = static_cast<std::size_t>(out - merged_lists_.data());
    }
    ends.resize(kept);
    std::swap(made_lists_, merged_lists_);
  }

  // Of [a, middle) and [middle, end) what no other of them beats; returns the end of it.
  static State* merge(const State* a, const State* middle, const State* end, State* out) {
    const State* b = middle;
    double least = kInfinity;
    const auto take = [&](const State& state) {  // without a branch: which are taken is hard to foresee
      *out = state;
      out += state.value < least ? 1 : 0;
      least = std::min(least, state.value);
    };
    while (a < middle && b < end) {
      const bool from_a = a->bytes < b->bytes || (a->bytes == b->bytes && a->value <= b->value);
      take(from_a ? *a : *b);
      a += from_a ? 1 : 0;
      b += from_a ? 0 : 1;
    }
    while (a < middle) take(*a++);
    while (b < end) take(*b++);
    return out;
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
  std::vector<State> made_lists_, merged_lists_;
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
  std::size_t width = kFirstWidth;
  while (true) {
    const std::uint64_t left = problem.most_states - std::min(problem.most_states, result.states);
    OpenCoreResult pass = CorePass(problem, result.best, width, left, between_rows).run();
    result.states += pass.states;
    result.best = pass.best;
    result.bound = std::min(std::max(result.bound, pass.bound), result.best);
    if (pass.improved) {
      result.improved = true;
      result.item = std::move(pass.item);
    }
    if (result.bound >= result.best || result.states >= problem.most_states) return result;
    // The work grows with the width: as much wider as the work left allows, if that is worth a pass.
    const std::uint64_t affordable =
        (problem.most_states - result.states) * width / std::max<std::uint64_t>(1, pass.states);
    if (affordable < width + width / 2) return result;
    width = static_cast<std::size_t>(std::min<std::uint64_t>(affordable, width * kWiden));
  }
}

}  // namespace afp::search_detail
