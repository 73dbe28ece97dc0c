// The command line of `afp quantize`, read and checked.
#pragma once

#include <string>

#include "afp/quantize.hpp"
#include "host/cli/outcome.hpp"
#include "host/cli/progress_display.hpp"

namespace afp::cli {

struct QuantizeArguments {
  std::string input;
  std::string output;       // may be empty in a dry run
  QuantizeOptions options;  // but for progress and stop
  bool json = false, quiet = false, verbose = false;
  ProgressMode progress = ProgressMode::none;
};

QuantizeArguments parse_quantize(const Arguments& arguments);

}  // namespace afp::cli
