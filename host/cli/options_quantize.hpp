// The command line of `afp quantize`, read and checked.
#pragma once

#include <optional>
#include <string>

#include "afp/quantize.hpp"
#include "host/cli/outcome.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/search_arguments.hpp"

namespace afp::cli {

struct QuantizeArguments {
  std::string input;
  std::string output;                   // may be empty in a dry run
  QuantizeOptions options;              // but for plan, progress and stop
  std::optional<SearchRequest> search;  // a plan is searched first
  std::optional<std::string> plan;      // or read from this file
  bool effort_given = false;            // else the plan's counts
  bool json = false, quiet = false, verbose = false;
  ProgressMode progress = ProgressMode::none;
};

QuantizeArguments parse_quantize(const Arguments& arguments);

}  // namespace afp::cli
