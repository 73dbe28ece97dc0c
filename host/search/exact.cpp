// The exact solver: the least value of every row, and with a budget that binds the linear relaxation, its
// greedy completion, and the search of what these leave open.
#include <algorithm>

#include "host/search/hulls.hpp"
#include "host/search/lagrangian.hpp"
#include "host/search/open_core.hpp"
#include "host/search/run_record.hpp"
#include "host/search/solvers.hpp"

namespace afp::search_detail {
namespace {

// States to make by default: some tens of milliseconds, more for tables that take longer to read anyway.
std::uint64_t default_states(const SearchProblem& problem) {
  return 2'200'000 + 5 * problem.costs.size();
}

// Where the corners of a row's hull are among its undominated items.
std::vector<std::uint32_t> items_of(const ReducedRows& reduced, const std::vector<std::uint32_t>& corners) {
  std::vector<std::uint32_t> items(corners.size());
  for (std::size_t row = 0; row < corners.size(); ++row) {
    const auto all = reduced.undominated.row(row);
    const Item& corner = reduced.hull.row(row)[corners[row]];
    const auto at = std::lower_bound(all.begin(), all.end(), corner,
                                     [](const Item& a, const Item& b) { return a.bytes < b.bytes; });
    items[row] = static_cast<std::uint32_t>(at - all.begin());
  }
  return items;
}

std::vector<std::size_t> columns_of(const ItemRows& rows, const std::vector<std::uint32_t>& items) {
  std::vector<std::size_t> columns(items.size());
  for (std::size_t row = 0; row < items.size(); ++row) columns[row] = rows.row(row)[items[row]].column;
  return columns;
}

double change_of(const ItemRows& rows, const std::vector<std::uint32_t>& from,
                 const std::vector<std::uint32_t>& to) {
  double change = 0.0;
  for (std::size_t row = 0; row < from.size(); ++row)
    if (from[row] != to[row]) change += rows.row(row)[to[row]].value - rows.row(row)[from[row]].value;
  return change;
}

}  // namespace

SearchResult solve_exact(const SearchProblem& problem, const SearchOptions& options) {
  RunRecord record(options);
  record.throw_if_stopped();
  const ReducedRows reduced = reduce_rows(problem);
  const std::uint64_t scored = problem.costs.size();

  if (!problem.budget) {
    std::vector<std::size_t> choice(problem.rows);
    for (std::size_t row = 0; row < problem.rows; ++row)
      choice[row] = reduced.undominated.row(row).back().column;
    return record.finish(problem, std::move(choice), scored, 0.0, true);
  }

  record.throw_if_stopped();
  const std::vector<HullStep> steps = sorted_steps(reduced.hull);
  const Relaxation relaxation = relax(reduced.hull, steps, *problem.budget);
  const std::vector<std::uint32_t> corners = greedy_corners(reduced.hull, steps, relaxation);
  const double greedy_change = change_of(reduced.hull, relaxation.base, corners);
  record.found(scored, relaxation.base_value + greedy_change);

  const std::vector<std::uint32_t> base = items_of(reduced, relaxation.base);
  const OpenCoreProblem core{
      reduced.undominated, base,
      relaxation.room,     relaxation.price,
      greedy_change,       options.evaluations != 0 ? options.evaluations : default_states(problem)};
  const OpenCoreResult found = solve_open_core(core, [&] { record.throw_if_stopped(); });
  record.found(scored + found.states, relaxation.base_value + found.best);
  return record.finish(
      problem, columns_of(reduced.undominated, found.improved ? found.item : items_of(reduced, corners)),
      scored + found.states, std::max(0.0, relaxation.base_value + found.bound), found.bound >= found.best);
}

}  // namespace afp::search_detail
