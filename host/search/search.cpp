#include "afp/search.hpp"

#include <string>

#include "afp/error.hpp"
#include "host/search/problem_check.hpp"
#include "host/search/solvers.hpp"

namespace afp {

Method parse_method(std::string_view text) {
  for (const Method method : {Method::exact, Method::anneal, Method::genetic, Method::bayes})
    if (text == to_string(method)) return method;
  throw UsageError("unknown method '" + std::string(text) + "'; expected exact, anneal, genetic or bayes");
}

std::string_view to_string(Method method) {
  switch (method) {
    case Method::exact:
      return "exact";
    case Method::anneal:
      return "anneal";
    case Method::genetic:
      return "genetic";
    case Method::bayes:
      break;
  }
  return "bayes";
}

SearchResult search(const SearchProblem& problem, const SearchOptions& options) {
  search_detail::check_problem(problem, false);
  switch (options.method) {
    case Method::exact:
      return search_detail::solve_exact(problem, options);
    case Method::anneal:
      return search_detail::anneal(problem, options);
    case Method::genetic:
      return search_detail::evolve(problem, options);
    case Method::bayes:
      break;
  }
  return search_detail::solve_bayes(problem, options);
}

}  // namespace afp
