// The command line of `afp search`, read and checked.
#pragma once

#include <string>

#include "host/cli/outcome.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/search_arguments.hpp"

namespace afp::cli {

struct SearchCommand {
  std::string input;
  std::string output;  // the plan's file; empty: it is not written
  SearchRequest request;
  RunOptions run;  // but for progress and stop
  bool force = false, json = false, quiet = false, verbose = false;
  ProgressMode progress = ProgressMode::none;
};

SearchCommand parse_search(const Arguments& arguments);

}  // namespace afp::cli
