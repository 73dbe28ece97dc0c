// Small checkpoints for the tests of the whole line, written by the library's own writer.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "host/checkpoint/shard_index.hpp"
#include "host/checkpoint/shard_writer.hpp"
#include "sample.hpp"
#include "temp_folder.hpp"

namespace afp::sample {

struct TensorData {
  TensorInfo info;
  std::vector<std::byte> bytes;
};

inline TensorData tensor(const std::string& name, DType dtype, const Shape& shape, std::uint64_t seed) {
  return {{name, dtype, shape}, make(dtype, Family::heavy_tails, element_count(shape), seed).bytes};
}

inline void write_shard(const std::filesystem::path& path, const std::vector<TensorData>& tensors) {
  std::vector<TensorInfo> infos;
  for (const TensorData& data : tensors) infos.push_back(data.info);
  ShardWriter writer(path, infos, {{"format", "pt"}});
  for (std::size_t t = 0; t < tensors.size(); ++t) writer.write(t, 0, tensors[t].bytes);
  writer.commit();
}

// model-0000i-of-0000N.safetensors, the index, and a config.json.
inline void write_sharded(const std::filesystem::path& folder,
                          const std::vector<std::vector<TensorData>>& shards) {
  std::filesystem::create_directories(folder);
  WeightMap map;
  std::uint64_t total = 0;
  for (std::size_t s = 0; s < shards.size(); ++s) {
    const std::string name = shard_file_name(s, shards.size());
    write_shard(folder / name, shards[s]);
    for (const TensorData& data : shards[s]) {
      map[data.info.name] = name;
      total += data.bytes.size();
    }
  }
  write_bytes(folder / kShardIndexFile, serialize_shard_index(map, total));
  write_bytes(folder / "config.json", "{\n  \"model_type\": \"sample\",\n  \"limit\": Infinity\n}\n");
  write_bytes(folder / "tokenizer.json", "{}");
}

// Every file of a folder and its content.
inline std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[std::filesystem::relative(entry.path(), folder).string()] = read_bytes(entry.path());
  return files;
}

}  // namespace afp::sample
