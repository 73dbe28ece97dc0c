// The command line of `afp dequantize`, read and checked.
#pragma once

#include <string>

#include "afp/quantize.hpp"
#include "host/cli/outcome.hpp"
#include "host/cli/progress_display.hpp"

namespace afp::cli {

struct DequantizeArguments {
  std::string input;
  std::string output;
  DequantizeOptions options;  // but for progress and stop
  bool json = false, quiet = false, verbose = false;
  ProgressMode progress = ProgressMode::none;
};

DequantizeArguments parse_dequantize(const Arguments& arguments);

}  // namespace afp::cli
