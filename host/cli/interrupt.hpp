// Ctrl-C and its relatives.
#pragma once

#include <atomic>

namespace afp::cli {

// From now on SIGINT, SIGTERM and SIGHUP make the returned flag true; a second one ends the program at once.
// A signal that the parent chose to ignore, as nohup does, stays ignored.
const std::atomic<bool>& stop_on_signals();

}  // namespace afp::cli
