// Bayesian optimization: as few costs looked at as possible, for tables that are dear to measure.
//
// The total is a sum over rows, so each row has a Gaussian process of its own, over the logarithm of its
// costs, and every evaluation shows the cost of one column of one row. What is evaluated next has the
// greatest expected improvement (Jones et al., "Efficient global optimization of expensive black-box
// functions", 1998); with a budget, of cost plus bytes at the price of the Lagrangian relaxation of what is
// known and believed. The choice is the exact one among the columns evaluated.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "afp/error.hpp"
#include "host/search/elementary.hpp"
#include "host/search/gaussian_process.hpp"
#include "host/search/hulls.hpp"
#include "host/search/lagrangian.hpp"
#include "host/search/random.hpp"
#include "host/search/run_record.hpp"
#include "host/search/solvers.hpp"

namespace afp::search_detail {
namespace {

constexpr std::size_t kMostRows = 20;
constexpr std::size_t kLeastDesign = 2, kMostDesign = 4;  // columns of a row to start from
constexpr double kWorthwhile = 1e-7;                      // expected improvement, of the value so far
constexpr std::uint64_t kQuickStates = 20'000;            // of the exact solver, between evaluations

// One row: what is known of it and what is believed.
class Row {
 public:
  Row(const SearchProblem& problem, std::size_t row) : problem_(problem), row_(row) {
    std::map<std::pair<int, int>, int> at_place;
    for (std::size_t column = 0; column < problem.columns.size(); ++column) {
      if (!problem.available(row, column)) continue;
      const auto [bits, exponent_bits] = problem.columns[column];
      const int slot = at_place[{bits, exponent_bits}]++;
      columns_.push_back(
          {static_cast<std::uint32_t>(column),
           {static_cast<double>(bits), static_cast<double>(exponent_bits), static_cast<double>(slot)}});
    }
  }

  struct Column {
    std::uint32_t column;
    GaussianProcess::Place place;
    bool known = false;
    double mean = 0.0, deviation = 0.0;  // of the logarithm, where it is not
  };
  const std::vector<Column>& columns() const { return columns_; }
  std::size_t row() const { return row_; }
  double cost(const Column& column) const { return problem_.costs[problem_.at(row_, column.column)]; }
  double bytes(const Column& column) const {
    return static_cast<double>(problem_.bytes[problem_.at(row_, column.column)]);
  }

  // The columns to start from: a random one, or with a budget the smallest, then those farthest from all
  // before, with a little chance.
  void evaluate_design(PhiloxSequence& random) {
    const auto count = static_cast<std::uint32_t>(columns_.size());
    std::size_t next = problem_.budget ? smallest() : random.below(count);
    const std::size_t design = std::clamp(columns_.size() / 8, kLeastDesign, kMostDesign);
    for (std::size_t i = 0; i < std::min(design, columns_.size()); ++i) {
      columns_[next].known = true;
      double farthest = -1.0;
      for (std::size_t c = 0; c < columns_.size(); ++c) {
        const double distance = distance_to_known(columns_[c]) * (0.7 + 0.6 * random.unit());
        if (columns_[c].known || distance <= farthest) continue;
        farthest = distance;
        next = c;
      }
    }
    double greatest = 0.0;
    for (const Column& column : columns_)
      if (column.known) greatest = std::max(greatest, cost(column));
    offset_ = std::max(1e-6 * greatest, 1e-290);
    believe();
  }

  void evaluate(std::size_t i) {
    columns_[i].known = true;
    believe();
  }

  // What is known, or else the median of what is believed, within ten times the greatest known.
  double likely_cost(const Column& column) const {
    if (column.known) return cost(column);
    return std::clamp(exponential(column.mean) - offset_, 0.0, 1e7 * offset_);
  }

  // The least known cost, with bytes at this price.
  double best_known(double price) const {
    double best = std::numeric_limits<double>::infinity();
    for (const Column& column : columns_)
      if (column.known) best = std::min(best, cost(column) + price * bytes(column));
    return best;
  }
  // E max(0, T - exp(Z)) of a normal Z, T being what the cost must fall below.
  double expected_improvement(const Column& column, double price, double best) const {
    const double target = best - price * bytes(column) + offset_;
    if (!(target > 0.0)) return 0.0;
    if (!(column.deviation > 0.0)) return std::max(0.0, target - exponential(column.mean));
    const double z = (natural_log(target) - column.mean) / column.deviation;
    return target * normal_below(z) - exponential(column.mean + 0.5 * column.deviation * column.deviation) *
                                          normal_below(z - column.deviation);
  }

 private:
  std::size_t smallest() const {
    const auto size = [&](const Column& c) { return std::pair(bytes(c), c.column); };
    return static_cast<std::size_t>(
        std::min_element(columns_.begin(), columns_.end(),
                         [&](const Column& a, const Column& b) { return size(a) < size(b); }) -
        columns_.begin());
  }

  double distance_to_known(const Column& to) const {
    double least = std::numeric_limits<double>::infinity();
    for (const Column& from : columns_) {
      if (!from.known) continue;
      const double x = from.place.bits - to.place.bits, y = from.place.exponent_bits - to.place.exponent_bits,
                   z = from.place.slot - to.place.slot;
      least = std::min(least, x * x + y * y + z * z);
    }
    return least;
  }

  // Fits the process to what is known; its scales anew where that has grown by an eighth.
  void believe() {
    std::vector<GaussianProcess::Place> places;
    std::vector<double> logs;
    for (const Column& column : columns_) {
      if (!column.known) continue;
      places.push_back(column.place);
      logs.push_back(natural_log(cost(column) + offset_));
    }
    if (places.size() == columns_.size()) return;
    const bool keep_scales = places.size() > 16 && places.size() * 8 < scales_of_ * 9;
    if (!keep_scales) scales_of_ = places.size();
    process_.fit(places, logs, keep_scales);
    for (Column& column : columns_) {
      if (column.known) continue;
      const auto [mean, deviation] = process_.predict(column.place);
      column.mean = mean;
      column.deviation = deviation;
    }
  }

  const SearchProblem& problem_;
  std::size_t row_;
  std::vector<Column> columns_;
  GaussianProcess process_;
  std::size_t scales_of_ = 0;  // so many observations
  double offset_ = 0.0;        // added to costs before their logarithm: there are costs of 0
};

class Optimizer {
 public:
  Optimizer(const SearchProblem& problem, std::uint64_t seed) : problem_(problem), known_(problem) {
    std::fill(known_.costs.begin(), known_.costs.end(), SearchProblem::kUnavailable);
    const Philox design(seed, Purpose::design);
    for (std::size_t row = 0; row < problem.rows; ++row) {
      PhiloxSequence random(design, static_cast<std::uint32_t>(row));
      rows_.emplace_back(problem, row).evaluate_design(random);
      for (const Row::Column& column : rows_.back().columns())
        if (column.known) reveal(row, column.column);
    }
  }

  std::uint64_t evaluations() const { return evaluations_; }

  // The best choice among what is known.
  SearchResult best_known(const SearchOptions& options, std::uint64_t states) const {
    SearchOptions exact;
    exact.stop = options.stop;
    exact.evaluations = states;
    return solve_exact(known_, exact);
  }

  // Evaluates what promises most, a column by itself or as part of the choice that would be best if all were
  // as it is likely; false where nothing promises `worthwhile` and that choice is known.
  bool evaluate_next(double worthwhile) {
    const double price = problem_.price + likely_byte_price();
    std::size_t best_row = 0, best_column = 0;
    double most = worthwhile;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      const double best = rows_[row].best_known(price);
      for (std::size_t c = 0; c < rows_[row].columns().size(); ++c) {
        const Row::Column& column = rows_[row].columns()[c];
        if (column.known) continue;
        const double expected = rows_[row].expected_improvement(column, price, best);
        if (!(expected > most)) continue;
        most = expected;
        best_row = row;
        best_column = c;
      }
    }
    if (!(most > worthwhile) && !find_unknown_of_likely_choice(best_row, best_column)) return false;
    rows_[best_row].evaluate(best_column);
    reveal(best_row, rows_[best_row].columns()[best_column].column);
    return true;
  }

 private:
  void reveal(std::size_t row, std::size_t column) {
    known_.costs[problem_.at(row, column)] = problem_.costs[problem_.at(row, column)];
    ++evaluations_;
  }

  // What makes the most of a budget's last bytes is a combination, which no column shows by itself.
  bool find_unknown_of_likely_choice(std::size_t& unknown_row, std::size_t& unknown_column) const {
    if (!problem_.budget) return false;
    SearchProblem likely = problem_;
    for (const Row& row : rows_)
      for (const Row::Column& column : row.columns())
        likely.costs[problem_.at(row.row(), column.column)] = row.likely_cost(column);
    SearchOptions quick;
    quick.evaluations = kQuickStates;
    const std::vector<std::size_t> choice = solve_exact(likely, quick).choice;
    for (const Row& row : rows_)
      for (std::size_t c = 0; c < row.columns().size(); ++c) {
        const Row::Column& column = row.columns()[c];
        if (column.known || column.column != choice[row.row()]) continue;
        unknown_row = row.row();
        unknown_column = c;
        return true;
      }
    return false;
  }

  // Of a byte of the budget, beyond SearchProblem::price.
  double likely_byte_price() const {
    if (!problem_.budget) return 0.0;
    ItemRows hulls;
    std::vector<Item> items;
    for (const Row& row : rows_) {
      items.clear();
      for (const Row::Column& column : row.columns())
        items.push_back({problem_.bytes[problem_.at(row.row(), column.column)],
                         row.likely_cost(column) + problem_.price * row.bytes(column), column.column});
      drop_dominated(items);
      hulls.add_row(lower_hull(items));
    }
    return relax(hulls, sorted_steps(hulls), *problem_.budget).price;
  }

  const SearchProblem& problem_;
  SearchProblem known_;  // what has not been evaluated is unavailable
  std::vector<Row> rows_;
  std::uint64_t evaluations_ = 0;
};

std::uint64_t available_cells(const SearchProblem& problem) {
  return static_cast<std::uint64_t>(
      std::count_if(problem.costs.begin(), problem.costs.end(),
                    [](double cost) { return cost < SearchProblem::kUnavailable; }));
}

}  // namespace

SearchResult solve_bayes(const SearchProblem& problem, const SearchOptions& options) {
  if (problem.rows > kMostRows)
    throw UsageError("method bayes is for at most " + std::to_string(kMostRows) + " rows, these are " +
                     std::to_string(problem.rows) + ": take exact, or tie tensors together");
  RunRecord record(options);
  record.throw_if_stopped();
  const double bound = dual_bound(problem).bound;
  // By default half of the table.
  const std::uint64_t most = options.evaluations != 0 ? options.evaluations : available_cells(problem) / 2;

  Optimizer optimizer(problem, options.seed);
  const auto value_of = [&](const SearchResult& result) {
    return result.cost + problem.price * static_cast<double>(result.bytes);
  };
  record.found(optimizer.evaluations(), value_of(optimizer.best_known(options, kQuickStates)));
  while (optimizer.evaluations() < most && optimizer.evaluate_next(kWorthwhile * record.best())) {
    record.throw_if_stopped();
    record.found(optimizer.evaluations(), value_of(optimizer.best_known(options, kQuickStates)));
  }
  SearchResult best = optimizer.best_known(options, 0);
  return record.finish(problem, std::move(best.choice), optimizer.evaluations(), bound);
}

}  // namespace afp::search_detail
