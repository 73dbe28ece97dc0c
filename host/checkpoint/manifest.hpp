// The manifest of a packed checkpoint (afp_manifest.json): what every tensor was and has become.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "afp/encoding.hpp"
#include "afp/tensor.hpp"

namespace afp {

inline constexpr const char* kManifestFile = "afp_manifest.json";

struct ManifestEntry {
  TensorInfo source;
  std::string source_digest;
  std::optional<Encoding> encoding;
  std::string kept;
  std::string codes_digest;
  std::string scales_digest;
  double squared_error = 0.0;
  double signal = 0.0;
};

struct Manifest {
  std::string effort;                  // "exact" or "fast"
  std::vector<ManifestEntry> tensors;  // in the source's order
};

// The text ends with a digest of all that stands before it: an edited manifest is told from a written one.
std::string to_json(const Manifest& manifest);
Manifest parse_manifest(std::string_view text, const std::string& file);

// The same for the entries of one shard, as records of finished shards hold them.
std::string entries_to_json(const std::vector<ManifestEntry>& entries);
std::vector<ManifestEntry> parse_entries(std::string_view text, const std::string& file);

// The value of `quantization_config` in config.json: quant_method "afp", config groups (one an Encoding)
// in the shape that compressed-tensors uses, and the names of the kept tensors.
std::string quantization_config(const Manifest& manifest);

}  // namespace afp
