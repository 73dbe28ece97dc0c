// What a table of costs must be before a solver sees it.
#pragma once

#include "afp/search.hpp"

namespace afp::search_detail {

// No table may hold more: sums of sizes and their differences then fit 64 bits with a sign.
inline constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 62;

// Throws UsageError as search() promises; the budget counts unless `any_budget`.
void check_problem(const SearchProblem& problem, bool any_budget);

}  // namespace afp::search_detail
