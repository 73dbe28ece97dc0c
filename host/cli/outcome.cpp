// Bodies of outcome.hpp.
#include "host/cli/outcome.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/cli/size_text.hpp"

namespace afp::cli {

std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

nlohmann::ordered_json json_number(double number) {
  return std::isfinite(number) ? nlohmann::ordered_json(number) : nlohmann::ordered_json(nullptr);
}

void add_backend(nlohmann::ordered_json& json, const BackendUse& backend) {
  const bool has_device = !backend.device.empty();
  json["backend"] =
      backend.name.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(backend.name);
  json["device"] = has_device ? nlohmann::ordered_json(backend.device) : nlohmann::ordered_json(nullptr);
  json["peak_device_memory"] =
      has_device ? nlohmann::ordered_json(backend.peak_device_memory) : nlohmann::ordered_json(nullptr);
}

std::string backend_text(const BackendUse& backend, bool reason) {
  std::string text = backend.name;
  if (!backend.device.empty())
    text += fmt::format(", {}, {} of its memory at the most", backend.device,
                        size_text(backend.peak_device_memory));
  if (reason && !backend.why_not_cuda.empty()) text += ", because " + backend.why_not_cuda;
  return text;
}

std::string decibel_text(double db) {
  if (std::isinf(db) && db > 0) return "exact";
  return std::isnan(db) ? "-" : fmt::format("{:.2f} dB", db);
}

}  // namespace afp::cli
