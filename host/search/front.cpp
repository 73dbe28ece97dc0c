// What every budget buys: the steps of all rows' hulls, steepest first, are the front's edges.
#include <algorithm>
#include <cmath>

#include "afp/error.hpp"
#include "afp/search.hpp"
#include "host/search/hulls.hpp"
#include "host/search/lagrangian.hpp"
#include "host/search/problem_check.hpp"

namespace afp {
namespace {

using search_detail::HullStep;
using search_detail::ItemRows;

// Numbers of steps after which the front has a corner, from 0 to all of them: between steps of equal slope
// it has none.
std::vector<std::size_t> corners_of(const std::vector<HullStep>& steps) {
  std::vector<std::size_t> corners = {0};
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (i + 1 == steps.size() || steps[i + 1].slope < steps[i].slope) corners.push_back(i + 1);
  return corners;
}

// At most so many of them, ends kept, the rest as near as possible to even distances in bytes.
std::vector<std::size_t> thinned(const std::vector<std::size_t>& corners,
                                 const std::vector<std::uint64_t>& bytes_after, std::size_t most) {
  if (corners.size() <= most) return corners;
  std::vector<std::size_t> kept = {corners.front()};
  const auto least = static_cast<double>(bytes_after[corners.front()]);
  const auto span = static_cast<double>(bytes_after[corners.back()]) - least;
  std::size_t at = 0;
  for (std::size_t k = 1; k + 1 < most; ++k) {
    const double wanted = least + span * static_cast<double>(k) / static_cast<double>(most - 1);
    while (at + 2 < corners.size() && static_cast<double>(bytes_after[corners[at]]) < wanted) ++at;
    if (corners[at] > kept.back()) kept.push_back(corners[at]);
  }
  kept.push_back(corners.back());
  return kept;
}

FrontPoint point_at(const ItemRows& hull, const std::vector<std::uint32_t>& corner) {
  FrontPoint point;
  point.choice.reserve(corner.size());
  for (std::size_t row = 0; row < corner.size(); ++row) {
    const auto& item = hull.row(row)[corner[row]];
    point.bytes += item.bytes;
    point.cost += item.value;
    point.choice.push_back(item.column);
  }
  return point;
}

}  // namespace

std::vector<FrontPoint> pareto_front(const SearchProblem& problem, std::size_t most) {
  if (most < 2) throw UsageError("a front has two ends: fewer points were asked for");
  search_detail::check_problem(problem, true);
  SearchProblem costs_alone;
  const SearchProblem* table = &problem;
  if (problem.price != 0.0) {
    costs_alone = problem;
    costs_alone.price = 0.0;
    table = &costs_alone;
  }
  const ItemRows hull = search_detail::reduce_rows(*table).hull;
  const std::vector<HullStep> steps = search_detail::sorted_steps(hull);

  std::vector<std::uint64_t> bytes_after(steps.size() + 1, 0);
  for (std::size_t row = 0; row < hull.rows(); ++row) bytes_after[0] += hull.row(row).front().bytes;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto row = hull.row(steps[i].row);
    bytes_after[i + 1] = bytes_after[i] + row[steps[i].to].bytes - row[steps[i].to - 1].bytes;
  }

  std::vector<FrontPoint> front;
  std::vector<std::uint32_t> corner(hull.rows(), 0);
  std::size_t taken = 0;
  for (const std::size_t steps_taken : thinned(corners_of(steps), bytes_after, most)) {
    for (; taken < steps_taken; ++taken) corner[steps[taken].row] = steps[taken].to;
    front.push_back(point_at(hull, corner));
  }
  return front;
}

}  // namespace afp
