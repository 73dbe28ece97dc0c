// What `afp search` prints: a summary for people, and JSON.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "afp/checkpoint.hpp"
#include "host/cli/search_run.hpp"

namespace afp::cli {

// `all`: every tensor and every candidate of the uniform question. `width`: of the terminal, absent where
// there is none.
std::string search_text(const Checkpoint& input, const SearchRequest& request, const SearchRun& run, bool all,
                        std::optional<std::size_t> width);
std::string search_json(const SearchRequest& request, const SearchRun& run);

}  // namespace afp::cli
