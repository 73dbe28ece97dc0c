// Bodies of outcome.hpp.
#include "host/cli/outcome.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace afp::cli {

std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

nlohmann::ordered_json json_number(double number) {
  return std::isfinite(number) ? nlohmann::ordered_json(number) : nlohmann::ordered_json(nullptr);
}

std::string decibel_text(double db) {
  if (std::isinf(db) && db > 0) return "exact";
  return std::isnan(db) ? "-" : fmt::format("{:.2f} dB", db);
}

}  // namespace afp::cli
