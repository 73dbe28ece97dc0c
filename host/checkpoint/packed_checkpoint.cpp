// Bodies of afp/packed_checkpoint.hpp: the manifest is held against the headers of the shards, both ways.
#include "afp/packed_checkpoint.hpp"

#include <system_error>
#include <unordered_map>
#include <utility>

#include "afp/error.hpp"
#include "afp/packed_tensor.hpp"
#include "host/checkpoint/config_json.hpp"
#include "host/checkpoint/file.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/output_folder.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/strict_json.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLongestManifest = std::uint64_t{1} << 30;
constexpr std::uint64_t kLongestConfig = 64 << 20;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

void require_complete(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw InputError(is_there(folder) ? "is a file; a packed checkpoint is a folder" : "no such folder",
                     folder.string());
  }
  if (is_there(folder / kPartialFolder)) {
    throw InputError("is incomplete: the run that wrote it was interrupted; run the same command again",
                     folder.string());
  }
  if (!is_packed_checkpoint(folder)) {
    throw InputError(std::string("is not a packed checkpoint: it has no ") + kManifestFile, folder.string());
  }
}

// A config.json beside the manifest must say what the weights are: else it is the config of other weights.
void require_config_agrees(const fs::path& folder) {
  const fs::path path = folder / kConfigFile;
  if (!is_there(path)) return;
  const std::string text = read_text_file(path, kLongestConfig);
  const std::optional<std::string_view> value =
      find_top_level_key(text, "quantization_config", path.string());
  if (value) {
    const nlohmann::json config = parse_strict_json(*value, path.string());
    const auto method = config.is_object() ? config.find("quant_method") : config.end();
    if (method != config.end() && *method == "afp") return;
  }
  throw InputError(
      "has no quantization_config with the quant_method 'afp', though there is a manifest beside it",
      path.string());
}

// Finds the tensors of the entries in the shards; each must be there once and be all there is.
class Matcher {
 public:
  explicit Matcher(const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), taken_(checkpoint.tensors().size(), false) {}

  std::size_t take(const TensorInfo& expected) {
    const CheckpointTensor* tensor = checkpoint_.find(expected.name);
    if (tensor == nullptr) {
      throw InputError("is missing, though the manifest has it", checkpoint_.path().string(), expected.name);
    }
    if (tensor->dtype != expected.dtype || tensor->shape != expected.shape) {
      fail(*tensor, "is " + describe(*tensor) + ", expected " + describe(expected) + " from the manifest");
    }
    const auto index = static_cast<std::size_t>(tensor - checkpoint_.tensors().data());
    if (taken_[index]) fail(*tensor, "belongs to two tensors of the manifest");
    taken_[index] = true;
    return index;
  }

  void refuse_others() const {
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (!taken_[i]) fail(checkpoint_.tensors()[i], "is not in the manifest");
    }
  }

 private:
  static std::string describe(const TensorInfo& tensor) {
    return std::string(dtype_name(tensor.dtype)) + " " + to_string(tensor.shape);
  }
  [[noreturn]] void fail(const CheckpointTensor& tensor, const std::string& message) const {
    throw InputError(message, (checkpoint_.folder() / checkpoint_.shards()[tensor.shard].file_name).string(),
                     tensor.name);
  }

  const Checkpoint& checkpoint_;
  std::vector<bool> taken_;
};

PackedEntry match_entry(ManifestEntry&& entry, Matcher& matcher) {
  PackedEntry packed;
  packed.source = std::move(entry.source);
  packed.source_digest = std::move(entry.source_digest);
  packed.encoding = entry.encoding;
  packed.kept = std::move(entry.kept);
  packed.codes_digest = std::move(entry.codes_digest);
  packed.scales_digest = std::move(entry.scales_digest);
  packed.squared_error = entry.squared_error;
  packed.signal = entry.signal;
  if (!packed.encoding) {
    packed.data = matcher.take(packed.source);
    return packed;
  }
  const std::string& name = packed.source.name;
  const BlockGrid grid(packed.encoding->block, packed.encoding->bits(), packed.source.shape);
  packed.data = matcher.take({name, DType::U8, codes_shape(grid)});
  packed.scales = matcher.take({scales_name(name), DType::U8, scales_shape(grid)});
  if (packed.encoding->scale == ScaleKind::ue4m3)
    packed.tensor_scale = matcher.take({tensor_scale_name(name), DType::F32, {}});
  return packed;
}

}  // namespace

struct PackedCheckpoint::State {
  State(Checkpoint checkpoint_, std::string effort_)
      : checkpoint(std::move(checkpoint_)), effort(std::move(effort_)) {}

  Checkpoint checkpoint;
  std::string effort;
  std::vector<PackedEntry> entries;
  std::unordered_map<std::string_view, std::size_t> by_name;  // views into `entries`
};

PackedCheckpoint PackedCheckpoint::open(const fs::path& folder) {
  require_complete(folder);
  require_config_agrees(folder);
  const fs::path manifest_path = folder / kManifestFile;
  Manifest manifest = parse_manifest(read_text_file(manifest_path, kLongestManifest), manifest_path.string());
  auto state = std::make_unique<State>(Checkpoint::open(folder), std::move(manifest.effort));
  Matcher matcher(state->checkpoint);
  state->entries.reserve(manifest.tensors.size());
  for (ManifestEntry& entry : manifest.tensors)
    state->entries.push_back(match_entry(std::move(entry), matcher));
  matcher.refuse_others();
  for (std::size_t i = 0; i < state->entries.size(); ++i)
    state->by_name.emplace(state->entries[i].source.name, i);
  return PackedCheckpoint(std::move(state));
}

PackedCheckpoint::PackedCheckpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
PackedCheckpoint::PackedCheckpoint(PackedCheckpoint&&) noexcept = default;
PackedCheckpoint& PackedCheckpoint::operator=(PackedCheckpoint&&) noexcept = default;
PackedCheckpoint::~PackedCheckpoint() = default;

const Checkpoint& PackedCheckpoint::checkpoint() const {
  return state_->checkpoint;
}
const std::vector<PackedEntry>& PackedCheckpoint::entries() const {
  return state_->entries;
}
const PackedEntry* PackedCheckpoint::find(std::string_view name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : &state_->entries[found->second];
}
const std::string& PackedCheckpoint::effort() const {
  return state_->effort;
}

bool is_packed_checkpoint(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / kManifestFile, error);
}

}  // namespace afp
