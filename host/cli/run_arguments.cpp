// Bodies of run_arguments.hpp.
#include "host/cli/run_arguments.hpp"

#include <charconv>
#include <cstdio>

#include "host/cli/size_text.hpp"
#include "host/cli/terminal.hpp"

namespace afp::cli {

void BackendArguments::declare(CommandLine& command) {
  command.value("--backend", "B", backend, "");
  command.value("--device", "I", device, "");
  command.describe("--backend, --device X", "auto (default), cpu or cuda; and GPUs, as 0,1 or all");
}

BackendChoice BackendArguments::choice(const CommandLine& command) const {
  BackendChoice choice;
  if (backend) {
    const std::optional<BackendKind> kind = parse_backend_kind(*backend);
    if (!kind) throw command.error("--backend: expected auto, cpu or cuda, found '" + *backend + "'");
    choice.kind = *kind;
  }
  if (device) {
    const std::optional<DeviceChoice> devices = parse_device_choice(*device);
    if (!devices)
      throw command.error("--device: expected an index as 0, several as 0,1, or all, found '" + *device +
                          "'");
    choice.devices = *devices;
    if (choice.kind == BackendKind::cpu)
      throw command.error("--device and --backend cpu contradict each other");
  }
  return choice;
}

void RunArguments::declare_resources(CommandLine& command) {
  backend.declare(command);
  command.value("--threads", "T", threads, "threads to use (default: one a core)");
  command.value("--memory-budget", "SIZE", memory_budget, "memory to stay under, as 2GB (default 512MiB)");
}

void RunArguments::declare_reporting(CommandLine& command, const std::string& verbose_help) {
  command.flag("--json", json, "the result as JSON on stdout");
  command.flag("--quiet", quiet, "no progress and no summary, errors only");
  if (!verbose_help.empty()) command.flag("--verbose", verbose, verbose_help);
  command.value("--progress", "KIND", progress, "bar, json (a line a second) or none; on stderr");
}

void RunArguments::check(const CommandLine& command) {
  options.backend = backend.choice(command);
  if (threads) {
    constexpr int kMost = 4096;
    const char* end = threads->data() + threads->size();
    const auto [stopped, error] = std::from_chars(threads->data(), end, options.threads);
    if (error != std::errc{} || stopped != end || options.threads < 1 || options.threads > kMost)
      throw command.error("--threads: expected a number from 1 to 4096, found '" + *threads + "'");
  }
  if (memory_budget) {
    constexpr std::uint64_t kLeast = 64 << 20;
    const std::optional<std::uint64_t> bytes = parse_size(*memory_budget);
    if (!bytes)
      throw command.error("--memory-budget: expected a size as 2GB or 512MiB, found '" + *memory_budget +
                          "'");
    if (*bytes < kLeast)
      throw command.error("--memory-budget: expected 64MiB or more, found '" + *memory_budget + "'");
    options.memory_budget = *bytes;
  }
  if (quiet && verbose) throw command.error("--quiet and --verbose contradict each other");

  if (!progress)
    progress_mode = quiet ? ProgressMode::none : is_terminal(stderr) ? ProgressMode::bar : ProgressMode::json;
  else if (*progress == "bar")
    progress_mode = ProgressMode::bar;
  else if (*progress == "json")
    progress_mode = ProgressMode::json;
  else if (*progress == "none")
    progress_mode = ProgressMode::none;
  else
    throw command.error("--progress: expected bar, json or none, found '" + *progress + "'");
}

}  // namespace afp::cli
