// Bodies of afp/checkpoint.hpp: headers are read and held against the index, weights on demand.
#include "afp/checkpoint.hpp"

#include <unordered_map>
#include <utility>

#include "afp/error.hpp"
#include "host/checkpoint/checkpoint_files.hpp"
#include "host/checkpoint/open_shards.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/safetensors_header.hpp"

namespace afp {

struct Checkpoint::State {
  std::filesystem::path path;
  CheckpointFiles files;
  std::vector<CheckpointShard> shards;
  std::vector<CheckpointTensor> tensors;
  std::unordered_map<std::string_view, std::size_t> by_name;  // views into `tensors`
  OpenShards open_shards;

  void read_headers();
  void index_by_name();
  void require_agreement(const WeightMap& weight_map) const;
  const CheckpointTensor* find(std::string_view name) const;
  std::uint64_t place(const CheckpointTensor& tensor, std::uint64_t offset, std::uint64_t bytes) const;
};

void Checkpoint::State::read_headers() {
  for (std::size_t i = 0; i < files.paths.size(); ++i) {
    const File file = File::open(files.paths[i]);
    const FileStatus status = file.status();
    SafetensorsHeader header = read_safetensors_header(file);
    open_shards.add(files.paths[i], status);
    CheckpointShard shard{.file_name = files.shards[i],
                          .file_bytes = status.bytes,
                          .header_digest = header.digest,
                          .modified_ns = status.modified_ns,
                          .metadata = std::move(header.metadata),
                          .tensors = {}};
    for (SafetensorsEntry& entry : header.tensors) {
      const std::uint64_t file_offset = header.data_begin + entry.begin;  // inside the file: checked
      shard.tensors.push_back(tensors.size());
      tensors.push_back({static_cast<TensorInfo&&>(entry), i, file_offset});
    }
    shards.push_back(std::move(shard));
  }
}

void Checkpoint::State::index_by_name() {
  by_name.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto [first, inserted] = by_name.emplace(tensors[i].name, i);
    if (inserted) continue;
    const std::size_t other = tensors[first->second].shard;
    throw InputError("is in the shard " + in_quotes(shards[other].file_name) + " too",
                     files.paths[tensors[i].shard].string(), tensors[i].name);
  }
}

const CheckpointTensor* Checkpoint::State::find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : &tensors[found->second];
}

void Checkpoint::State::require_agreement(const WeightMap& weight_map) const {
  for (const auto& [name, shard] : weight_map) {
    const CheckpointTensor* tensor = find(name);
    if (tensor == nullptr) {
      throw InputError("is placed in the shard " + in_quotes(shard) + ", which does not hold it",
                       files.index_path, name);
    }
    const std::string& holder = shards[tensor->shard].file_name;
    if (holder != shard) {
      throw InputError("is placed in the shard " + in_quotes(shard) + ", but is in " + in_quotes(holder),
                       files.index_path, name);
    }
  }
  for (const CheckpointTensor& tensor : tensors) {
    if (!weight_map.contains(tensor.name)) {
      throw InputError("is in the shard, but not in the index " + in_quotes(files.index_path),
                       files.paths[tensor.shard].string(), tensor.name);
    }
  }
}

// Where the piece lies in its shard.
std::uint64_t Checkpoint::State::place(const CheckpointTensor& tensor, std::uint64_t offset,
                                       std::uint64_t bytes) const {
  const std::uint64_t size = tensor.bytes();
  if (offset > size || bytes > size - offset) {
    throw UsageError("bytes " + std::to_string(offset) + " + " + std::to_string(bytes) + " of tensor " +
                     in_quotes(tensor.name) + " are past its end (" + std::to_string(size) + " bytes)");
  }
  if (tensor.shard >= shards.size())
    throw UsageError("tensor " + in_quotes(tensor.name) + " is of another checkpoint");
  return tensor.file_offset + offset;
}

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->files = find_checkpoint_files(path);
  state->read_headers();
  state->index_by_name();
  if (state->files.weight_map) state->require_agreement(*state->files.weight_map);
  return Checkpoint(std::move(state));
}

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

CheckpointKind Checkpoint::kind() const {
  return state_->files.weight_map ? CheckpointKind::sharded : CheckpointKind::safetensors;
}
const std::filesystem::path& Checkpoint::path() const {
  return state_->path;
}
const std::filesystem::path& Checkpoint::folder() const {
  return state_->files.folder;
}
bool Checkpoint::is_folder() const {
  return state_->files.is_folder;
}
const std::vector<CheckpointShard>& Checkpoint::shards() const {
  return state_->shards;
}
const std::vector<CheckpointTensor>& Checkpoint::tensors() const {
  return state_->tensors;
}
const CheckpointTensor* Checkpoint::find(std::string_view name) const {
  return state_->find(name);
}
const std::vector<std::string>& Checkpoint::other_files() const {
  return state_->files.other_files;
}

void Checkpoint::read(const CheckpointTensor& tensor, std::uint64_t offset, std::span<std::byte> out) const {
  const std::uint64_t begin = state_->place(tensor, offset, out.size());
  if (out.empty()) return;
  const std::shared_ptr<const File> file = state_->open_shards.get(tensor.shard);
  file->read_at(begin, out);
  state_->open_shards.require_unchanged(tensor.shard, *file);  // after: a change meanwhile shows too
}

void Checkpoint::prefetch(const CheckpointTensor& tensor, std::uint64_t offset,
                          std::uint64_t bytes) const noexcept {
  if (bytes == 0) return;  // which would mean "to the end of the file"
  try {
    const std::uint64_t begin = state_->place(tensor, offset, bytes);
    state_->open_shards.get(tensor.shard)->will_need(begin, bytes);
  } catch (...) {  // a hint: whatever is wrong shows when the bytes are read
  }
}

}  // namespace afp
