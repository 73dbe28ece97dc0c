// Bodies of shard_index.hpp.
#include "host/checkpoint/shard_index.hpp"

#include <nlohmann/json.hpp>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/strict_json.hpp"

namespace afp {
namespace {

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of("/\\") == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace

WeightMap parse_shard_index(std::string_view text, const std::string& file_name) {
  const nlohmann::json index = parse_strict_json(text, file_name);
  if (!index.is_object()) throw InputError("index is no JSON object", file_name);
  const auto map = index.find("weight_map");
  if (map == index.end()) throw InputError("index has no \"weight_map\"", file_name);
  if (!map->is_object()) throw InputError("\"weight_map\" is no JSON object", file_name);
  if (map->empty()) throw InputError("\"weight_map\" names no tensor", file_name);
  WeightMap weight_map;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) throw InputError("\"weight_map\" holds no file name for it", file_name, tensor);
    const auto& name = shard.get_ref<const std::string&>();
    if (!is_plain_name(name)) {
      throw InputError("its shard " + in_quotes(name) + " is not a plain file name inside the folder",
                       file_name, tensor);
    }
    weight_map.emplace(tensor, name);
  }
  return weight_map;
}

std::string serialize_shard_index(const WeightMap& weight_map, std::uint64_t total_size) {
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total_size;
  index["weight_map"] = nlohmann::ordered_json(weight_map);
  return index.dump(2) + "\n";
}

std::string shard_file_name(std::size_t shard, std::size_t shard_count) {
  const auto five_digits = [](std::size_t number) {
    const std::string digits = std::to_string(number);
    return digits.size() < 5 ? std::string(5 - digits.size(), '0') + digits : digits;
  };
  return "model-" + five_digits(shard + 1) + "-of-" + five_digits(shard_count) + ".safetensors";
}

}  // namespace afp
