// What a verb hands back to main: text for stdout and, where the answer is "no", why.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "afp/backend.hpp"

namespace afp::cli {

inline constexpr int kExitDone = 0, kExitFailure = 1, kExitUsage = 2, kExitBadInput = 3,
                     kExitInterrupted = 75;

struct Outcome {
  std::string out = {};  // for stdout, whole lines
  int exit_code = kExitDone;
  std::string complaint = {};  // one line for stderr where exit_code is not 0
};

using Arguments = std::vector<std::string>;  // those that follow the verb

// JSON as `--json` prints it: one line. Bytes that are no UTF-8 (in file names) become U+FFFD.
std::string json_line(const nlohmann::ordered_json& json);

// A double that JSON can hold; null for infinities and NaN.
nlohmann::ordered_json json_number(double number);

// The keys "backend", "device" and "peak_device_memory" (bytes); null are the last two where the CPU worked
// alone, and all three where no backend did.
void add_backend(nlohmann::ordered_json& json, const BackendUse& backend);

// "cuda, NVIDIA H200, 1.23GB of its memory at the most", "cpu"; `reason`: also why not CUDA.
std::string backend_text(const BackendUse& backend, bool reason);

// "22.58 dB"; "exact" where nothing was lost.
std::string decibel_text(double db);

}  // namespace afp::cli
