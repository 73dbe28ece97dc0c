// Builds safetensors files byte by byte, whole or broken, without the code under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace afp {

inline std::string little_endian(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

inline std::string safetensors_bytes(std::string_view json, std::string_view data) {
  return little_endian(json.size()) + std::string(json) + std::string(data);
}

// A valid file with one U8 tensor.
inline std::string one_tensor_file(const std::string& name, std::string_view data) {
  const std::string size = std::to_string(data.size());
  return safetensors_bytes(
      R"({")" + name + R"(":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}}",
      data);
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace afp
