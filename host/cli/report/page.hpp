// The style sheet and the script of the report's page. The page is complete without the script, which lets
// tables be sorted and filtered and shows notes at the pointer.
#pragma once

#include <string_view>

namespace afp::cli {

// Neither holds '<' or '&': the page is XML as well.
extern const std::string_view kReportStyle;
extern const std::string_view kReportScript;

}  // namespace afp::cli
