// The solvers behind search(). Each is given a problem that check_problem() has passed.
#pragma once

#include "afp/search.hpp"

namespace afp::search_detail {

SearchResult solve_exact(const SearchProblem& problem, const SearchOptions& options);
SearchResult anneal(const SearchProblem& problem, const SearchOptions& options);
SearchResult evolve(const SearchProblem& problem, const SearchOptions& options);
SearchResult solve_bayes(const SearchProblem& problem, const SearchOptions& options);

}  // namespace afp::search_detail
