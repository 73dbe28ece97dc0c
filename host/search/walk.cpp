#include "host/search/walk.hpp"

#include <limits>
#include <map>
#include <utility>

namespace afp::search_detail {

Walk::Walk(const SearchProblem& problem) {
  const std::size_t columns = problem.columns.size();
  values_.resize(problem.costs.size());
  for (std::size_t at = 0; at < values_.size(); ++at) values_[at] = value_at(problem, at);
  table_ = {values_.data(), problem.bytes.data(), columns,
            problem.budget.value_or(std::numeric_limits<std::uint64_t>::max())};

  std::map<std::vector<bool>, std::uint32_t> known;  // sets of available columns
  std::vector<bool> available(columns);
  for (std::size_t row = 0; row < problem.rows; ++row) {
    std::pair<std::uint64_t, double> least;
    std::size_t smallest = columns;
    for (std::size_t column = 0; column < columns; ++column) {
      available[column] = problem.available(row, column);
      const std::size_t at = problem.at(row, column);
      const std::pair size_and_value(problem.bytes[at], values_[at]);
      if (!available[column] || (smallest < columns && size_and_value >= least)) continue;
      smallest = column;
      least = size_and_value;
    }
    smallest_.push_back(static_cast<std::uint32_t>(smallest));
    const auto [set, added] = known.try_emplace(available, static_cast<std::uint32_t>(known.size()));
    if (added) moves_.append(neighbourhoods_.emplace_back(problem.columns, available).moves());
    neighbourhood_of_.push_back(set->second);
    if (this->available(row).size() > 1) free_rows_.push_back(static_cast<std::uint32_t>(row));
  }
  if (problem.budget) {
    items_ = reduce_rows(problem).undominated;
    repair_.emplace(items_, *problem.budget);
  }
}

AnnealingProblem Walk::problem() const {
  AnnealingProblem problem;
  problem.table = table_;
  problem.moves = moves_.view();
  problem.rows = rows();
  problem.neighbourhood_of = neighbourhood_of_.data();
  problem.free_rows = free_rows_.data();
  problem.free_row_count = static_cast<std::uint32_t>(free_rows_.size());
  return problem;
}

double Walk::repair(std::vector<std::uint32_t>& choices) const {
  std::vector<Item> items(rows());
  for (std::size_t row = 0; row < rows(); ++row) {
    const std::size_t at = row * table_.columns + choices[row];
    items[row] = {table_.bytes[at], table_.values[at], choices[row]};
  }
  (*repair_)(items);
  for (std::size_t row = 0; row < rows(); ++row) choices[row] = items[row].column;
  return value(choices.data());
}

}  // namespace afp::search_detail
