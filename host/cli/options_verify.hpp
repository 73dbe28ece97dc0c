// The command line of `afp verify`, read and checked.
#pragma once

#include <optional>
#include <string>

#include "afp/progress.hpp"
#include "host/cli/outcome.hpp"
#include "host/cli/progress_display.hpp"

namespace afp::cli {

struct VerifyArguments {
  std::string packed;
  std::optional<std::string> against;
  RunOptions run;  // but for progress and stop
  bool json = false, quiet = false, verbose = false;
  ProgressMode progress = ProgressMode::none;
};

VerifyArguments parse_verify(const Arguments& arguments);

}  // namespace afp::cli
