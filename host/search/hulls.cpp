#include "host/search/hulls.hpp"

#include <algorithm>
#include <tuple>

namespace afp::search_detail {

void drop_dominated(std::vector<Item>& items) {
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return std::tie(a.bytes, a.value, a.column) < std::tie(b.bytes, b.value, b.column);
  });
  std::size_t kept = 0;
  for (const Item& item : items)
    if (kept == 0 || item.value < items[kept - 1].value) items[kept++] = item;
  items.resize(kept);
}

std::vector<Item> lower_hull(std::span<const Item> items) {
  std::vector<Item> hull;
  for (const Item& item : items) {
    while (hull.size() >= 2 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), item))
      hull.pop_back();
    hull.push_back(item);
  }
  return hull;
}

ReducedRows reduce_rows(const SearchProblem& problem) {
  ReducedRows reduced;
  reduced.undominated.reserve(problem.rows, problem.rows * problem.columns.size());
  reduced.hull.reserve(problem.rows, problem.rows * problem.columns.size());
  std::vector<Item> items;
  for (std::size_t row = 0; row < problem.rows; ++row) {
    items.clear();
    for (std::size_t column = 0; column < problem.columns.size(); ++column) {
      const std::size_t at = problem.at(row, column);
      if (problem.available(row, column))
        items.push_back({problem.bytes[at], value_at(problem, at), static_cast<std::uint32_t>(column)});
    }
    drop_dominated(items);
    reduced.undominated.add_row(items);
    reduced.hull.add_row(lower_hull(items));
  }
  return reduced;
}

}  // namespace afp::search_detail
