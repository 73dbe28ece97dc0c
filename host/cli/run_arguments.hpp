// The options that every verb which works through weights has: on what, how fast, and how it reports.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "afp/progress.hpp"
#include "host/cli/command_line.hpp"
#include "host/cli/progress_display.hpp"

namespace afp::cli {

// --backend and --device, for the verbs without the rest too.
struct BackendArguments {
  std::optional<std::string> backend, device;

  void declare(CommandLine& command);
  BackendChoice choice(const CommandLine& command) const;  // throws UsageError
};

struct RunArguments {
  BackendArguments backend;
  std::optional<std::string> threads, memory_budget, progress;
  bool json = false, quiet = false, verbose = false;

  // Heading "How fast", "How it reports"; --verbose only where there is more to tell.
  void declare_resources(CommandLine& command);
  void declare_reporting(CommandLine& command, const std::string& verbose_help);

  // Throws UsageError for values that make no sense.
  void check(const CommandLine& command);

  RunOptions options;                               // backend, threads and memory_budget, after check()
  ProgressMode progress_mode = ProgressMode::none;  // likewise
};

}  // namespace afp::cli
