// BackendChoice: which backend and which devices a run is to use. make_backend of afp/backend.hpp carries it
// out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace afp {

enum class BackendKind : std::uint8_t {
  automatic,  // CUDA where this build has it and the machine a GPU for it, else the CPU
  cpu,
  cuda,
};

// GPUs by their index, as the driver counts them. Neither all nor any index: the first that can be used.
struct DeviceChoice {
  bool all = false;  // every one that can be used; under BackendKind::automatic there may be none
  std::vector<int> indices;

  bool is_given() const { return all || !indices.empty(); }
  friend bool operator==(const DeviceChoice&, const DeviceChoice&) = default;
};

struct BackendChoice {
  BackendKind kind = BackendKind::automatic;
  DeviceChoice devices;  // indices ask for CUDA, whatever the kind; with the CPU they are a contradiction

  friend bool operator==(const BackendChoice&, const BackendChoice&) = default;
};

// "auto", "cpu" or "cuda"; nothing for other text.
std::optional<BackendKind> parse_backend_kind(std::string_view text);
std::string_view to_string(BackendKind kind);

// "all", "0" or "0,2,1"; nothing for other text, and where an index is there twice.
std::optional<DeviceChoice> parse_device_choice(std::string_view text);

}  // namespace afp
