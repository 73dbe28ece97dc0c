// Bodies of backend_choice.hpp.
#include "afp/backend_choice.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace afp {
namespace {

constexpr std::array kKinds = {BackendKind::automatic, BackendKind::cpu, BackendKind::cuda};

}  // namespace

std::string_view to_string(BackendKind kind) {
  switch (kind) {
    case BackendKind::automatic:
      return "auto";
    case BackendKind::cpu:
      return "cpu";
    case BackendKind::cuda:
      return "cuda";
  }
  return "";
}

std::optional<BackendKind> parse_backend_kind(std::string_view text) {
  for (const BackendKind kind : kKinds)
    if (text == to_string(kind)) return kind;
  return std::nullopt;
}

std::optional<DeviceChoice> parse_device_choice(std::string_view text) {
  DeviceChoice choice;
  if (text == "all") {
    choice.all = true;
    return choice;
  }
  const char* const end = text.data() + text.size();
  for (const char* next = text.data();; ++next) {
    int index = 0;
    const auto [stopped, error] = std::from_chars(next, end, index);
    if (error != std::errc{} || *next == '-') return std::nullopt;
    if (std::find(choice.indices.begin(), choice.indices.end(), index) != choice.indices.end())
      return std::nullopt;
    choice.indices.push_back(index);
    if (stopped == end) return choice;
    if (*stopped != ',') return std::nullopt;
    next = stopped;
  }
}

}  // namespace afp
