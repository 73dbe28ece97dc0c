// The verbs: each takes the arguments that follow it and returns what is to be printed. They throw what the
// library throws, UsageError for the command line, and HelpRequested. `stop` becoming true ends them with
// Interrupted.
#pragma once

#include <atomic>

#include "host/cli/outcome.hpp"

namespace afp::cli {

Outcome inspect(const Arguments& arguments, const std::atomic<bool>& stop);
Outcome search(const Arguments& arguments, const std::atomic<bool>& stop);
Outcome quantize(const Arguments& arguments, const std::atomic<bool>& stop);
Outcome dequantize(const Arguments& arguments, const std::atomic<bool>& stop);
Outcome verify(const Arguments& arguments, const std::atomic<bool>& stop);

}  // namespace afp::cli
