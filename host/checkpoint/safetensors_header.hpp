// The safetensors header, strictly: what is accepted is unambiguous and covers the file byte for byte.
//
//   | 8 bytes: N, little-endian | N bytes: JSON, padded with spaces | tensor data, contiguous |
//
//   {"__metadata__": {"format": "pt"},
//    "name": {"dtype": "BF16", "shape": [64, 32], "data_offsets": [begin, end]}, ...}
//
// Offsets count from the first byte after the JSON.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "afp/tensor.hpp"
#include "host/checkpoint/file.hpp"

namespace afp {

inline constexpr std::uint64_t kLongestSafetensorsHeader = 100'000'000;  // the format's own limit, in bytes

struct SafetensorsEntry : TensorInfo {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;  // in file order: each begins where the one before ends
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  // from the start of the file
  std::uint64_t digest = 0;      // XXH3-64 of the JSON, padding included
};

// Checks the JSON part of a file of `file_size` bytes. Every fault is an InputError of its own wording.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_size,
                                           const std::string& file_name);

// Reads and checks the header of `file`; a file that is something else is called what it seems to be.
SafetensorsHeader read_safetensors_header(const File& file);

// Places tensors one after another in the order given. Nothing may lie between two tensors, so a
// tensor's data is aligned to its elements where all before it are: put wider types first.
std::vector<SafetensorsEntry> lay_out_tensors(const std::vector<TensorInfo>& tensors);

// The most bytes that this tensor takes in a header whose offsets are at most `largest_offset`.
std::uint64_t most_header_bytes(const TensorInfo& tensor, std::uint64_t largest_offset);

// The length and the JSON for that layout, padded so that the data begins at a multiple of 8.
std::string serialize_safetensors_header(const std::vector<TensorInfo>& tensors,
                                         const std::map<std::string, std::string>& metadata);

}  // namespace afp
