// What can be left out of every row of a table: dominated choices, and for the linear relaxation those above
// the lower convex hull of (bytes, value).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/search.hpp"

namespace afp::search_detail {

struct Item {
  std::uint64_t bytes;
  double value;  // cost + price * bytes
  std::uint32_t column;
};

// Value of an available column: what the solvers minimize.
inline double value_at(const SearchProblem& problem, std::size_t at) {
  return problem.costs[at] + problem.price * static_cast<double>(problem.bytes[at]);
}

// Rows of items, one after another.
class ItemRows {
 public:
  std::size_t rows() const { return ends_.size(); }
  std::span<const Item> row(std::size_t row) const {
    const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
    return {items_.data() + begin, ends_[row] - begin};
  }
  std::size_t items() const { return items_.size(); }

  void reserve(std::size_t rows, std::size_t items) {
    ends_.reserve(rows);
    items_.reserve(items);
  }
  void add_row(std::span<const Item> items) {
    items_.insert(items_.end(), items.begin(), items.end());
    ends_.push_back(items_.size());
  }

 private:
  std::vector<Item> items_;
  std::vector<std::size_t> ends_;
};

// The items of a row that no other beats in bytes and value: bytes ascend, values descend. Of equal items the
// first column stays. `items` is any order of them; it comes back reduced.
void drop_dominated(std::vector<Item>& items);

// The corners of the lower convex hull of such items: slopes descend.
std::vector<Item> lower_hull(std::span<const Item> items);

// Value lost by a byte gained, from one item of a hull to the next; positive.
inline double slope(const Item& from, const Item& to) {
  return (from.value - to.value) / static_cast<double>(to.bytes - from.bytes);
}

struct ReducedRows {
  ItemRows undominated;
  ItemRows hull;
};
ReducedRows reduce_rows(const SearchProblem& problem);

}  // namespace afp::search_detail
