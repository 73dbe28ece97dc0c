// Bodies of written_bytes.hpp.
#include "host/core/written_bytes.hpp"

#include "afp/size.hpp"
#include "host/checkpoint/safetensors_header.hpp"
#include "host/core/shard_quantizer.hpp"

namespace afp {

std::uint64_t written_file_bytes(const Checkpoint& input, const Plan& plan) {
  Size total;
  for (const CheckpointShard& shard : input.shards()) {
    std::vector<std::vector<Encoding>> candidates;
    candidates.reserve(shard.tensors.size());
    std::vector<ShardQuantizer::Item> items;
    for (const std::size_t t : shard.tensors) {
      const PlanEntry& entry = plan.tensors.at(t);
      candidates.push_back(entry.encoding ? std::vector{*entry.encoding} : std::vector<Encoding>());
      items.push_back({&input.tensors()[t], &candidates.back(), &entry.kept});
    }
    std::vector<TensorInfo> infos;
    for (const ShardQuantizer::OutputTensor& output : ShardQuantizer::output_tensors(items)) {
      infos.push_back(output.info);
      total = total + Size(output.info.bytes());
    }
    total = total + Size(serialize_safetensors_header(infos, output_metadata(shard)).size());
  }
  return total;
}

std::uint64_t most_written_bytes(const CheckpointTensor& tensor, const std::optional<Encoding>& encoding,
                                 std::uint64_t largest_offset) {
  const std::vector<Encoding> candidates = encoding ? std::vector{*encoding} : std::vector<Encoding>();
  const std::string kept;
  std::uint64_t bytes = 0;
  for (const ShardQuantizer::OutputTensor& output :
       ShardQuantizer::output_tensors({{&tensor, &candidates, &kept}}))
    bytes += output.info.bytes() + most_header_bytes(output.info, largest_offset);
  return bytes;
}

}  // namespace afp
