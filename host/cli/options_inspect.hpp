// The command line of `afp inspect`, read and checked.
#pragma once

#include <string>

#include "afp/backend_choice.hpp"
#include "host/cli/outcome.hpp"

namespace afp::cli {

struct InspectArguments {
  std::string path;
  bool stats = false, json = false;
  BackendChoice backend;  // of stats
};

InspectArguments parse_inspect(const Arguments& arguments);

}  // namespace afp::cli
