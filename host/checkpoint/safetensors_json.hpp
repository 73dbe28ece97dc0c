// The grammar of a safetensors header: JSON in, typed entries out, in the order they are written.
// What the offsets and sizes mean is for safetensors_header.cpp to check.
#pragma once

#include <string>
#include <string_view>

#include "host/checkpoint/safetensors_header.hpp"

namespace afp {

// Fills tensors and metadata. Works event by event and holds nothing but the result, and stops at the
// first fault, so that a hostile header of any size costs no more than its own bytes.
SafetensorsHeader parse_safetensors_json(std::string_view json, const std::string& file_name);

}  // namespace afp
