// Names the kind of a file that turned out not to be safetensors, so that the error helps.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace afp {

// From the first 16 bytes (fewer where the file is shorter): "a GGUF file", or nothing when unknown.
// Only for files that are no valid safetensors: some of these beginnings could also be a header length.
std::optional<std::string> recognize_foreign_file(std::span<const std::byte> start);

}  // namespace afp
