// The command line of `afp inspect`, read and checked.
#pragma once

#include <string>

#include "host/cli/outcome.hpp"

namespace afp::cli {

struct InspectArguments {
  std::string path;
  bool stats = false, json = false;
};

InspectArguments parse_inspect(const Arguments& arguments);

}  // namespace afp::cli
