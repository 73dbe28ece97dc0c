// The index of a sharded checkpoint, model.safetensors.index.json: which shard holds which tensor.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace afp {

inline constexpr const char* kShardIndexFile = "model.safetensors.index.json";

using WeightMap = std::map<std::string, std::string>;  // tensor name -> plain file name of its shard

// Reads "weight_map"; shard names must be plain names inside the folder. Everything else in the index
// is for people: other keys are let through unread ("total_size" counts shared tensors differently
// from writer to writer, so nothing can be concluded from it).
WeightMap parse_shard_index(std::string_view text, const std::string& file_name);

// {"metadata": {"total_size": bytes of all tensors}, "weight_map": {...}}, tensors sorted by name.
std::string serialize_shard_index(const WeightMap& weight_map, std::uint64_t total_size);

// model-00001-of-00002.safetensors, for shard 0 of 2.
std::string shard_file_name(std::size_t shard, std::size_t shard_count);

}  // namespace afp
