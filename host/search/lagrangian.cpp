#include "host/search/lagrangian.hpp"

#include <algorithm>
#include <tuple>

namespace afp::search_detail {

std::vector<HullStep> sorted_steps(const ItemRows& hull) {
  std::vector<HullStep> steps;
  steps.reserve(hull.items());
  for (std::size_t row = 0; row < hull.rows(); ++row) {
    const auto corners = hull.row(row);
    for (std::size_t to = 1; to < corners.size(); ++to)
      steps.push_back({slope(corners[to - 1], corners[to]), static_cast<std::uint32_t>(row),
                       static_cast<std::uint32_t>(to)});
  }
  std::sort(steps.begin(), steps.end(), [](const HullStep& a, const HullStep& b) {
    return std::tie(b.slope, a.row, a.to) < std::tie(a.slope, b.row, b.to);
  });
  return steps;
}

Relaxation relax(const ItemRows& hull, const std::vector<HullStep>& steps, std::uint64_t budget) {
  Relaxation result;
  result.base.assign(hull.rows(), 0);
  std::uint64_t bytes = 0;
  for (std::size_t row = 0; row < hull.rows(); ++row) bytes += hull.row(row).front().bytes;
  for (; result.split_step < steps.size(); ++result.split_step) {
    const HullStep& step = steps[result.split_step];
    const auto corners = hull.row(step.row);
    const std::uint64_t more = corners[step.to].bytes - corners[step.to - 1].bytes;
    if (more > budget - bytes) {
      result.price = step.slope;
      break;
    }
    bytes += more;
    result.base[step.row] = step.to;
  }
  result.room = budget - bytes;
  for (std::size_t row = 0; row < hull.rows(); ++row)
    result.base_value += hull.row(row)[result.base[row]].value;
  result.bound = std::max(0.0, result.base_value - result.price * static_cast<double>(result.room));
  return result;
}

std::vector<std::uint32_t> greedy_corners(const ItemRows& hull, const std::vector<HullStep>& steps,
                                          const Relaxation& relaxation) {
  std::vector<std::uint32_t> corners = relaxation.base;
  std::uint64_t room = relaxation.room;
  for (std::size_t i = relaxation.split_step; i < steps.size() && room > 0; ++i) {
    const auto row = hull.row(steps[i].row);
    std::uint32_t& corner = corners[steps[i].row];
    const std::uint64_t more = row[steps[i].to].bytes - row[corner].bytes;
    if (more > room) continue;
    room -= more;
    corner = steps[i].to;
  }
  return corners;
}

DualBound dual_bound(const SearchProblem& problem) {
  const ReducedRows reduced = reduce_rows(problem);
  if (!problem.budget) {
    DualBound free;
    for (std::size_t row = 0; row < reduced.hull.rows(); ++row)
      free.bound += reduced.hull.row(row).back().value;
    return free;
  }
  const Relaxation relaxation = relax(reduced.hull, sorted_steps(reduced.hull), *problem.budget);
  return {relaxation.bound, relaxation.price};
}

}  // namespace afp::search_detail
