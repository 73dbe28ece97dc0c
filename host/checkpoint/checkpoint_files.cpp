// Bodies of checkpoint_files.hpp.
#include "host/checkpoint/checkpoint_files.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <system_error>

#include "afp/error.hpp"
#include "host/checkpoint/file.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/safetensors_header.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights = ".safetensors";
constexpr std::string_view kIndex = ".safetensors.index.json";

// Weights and indexes of other kinds, which must not travel along with a converted checkpoint.
bool is_foreign_weight_file(std::string_view name) {
  constexpr std::array<std::string_view, 5> kEndings = {".pt", ".pth", ".th", ".gguf", ".bin.index.json"};
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  return std::any_of(kEndings.begin(), kEndings.end(), ends) ||
         (name.starts_with("pytorch_model") && name.ends_with(".bin"));
}

// Names of the regular files directly in the folder, hidden ones left out, sorted.
std::vector<std::string> list_folder(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  while (!error && entry != fs::directory_iterator()) {
    std::error_code broken_link;
    std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && entry->is_regular_file(broken_link)) names.push_back(std::move(name));
    entry.increment(error);
  }
  if (error) throw InputError("cannot list the folder: " + error.message(), folder.string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> names_ending(const std::vector<std::string>& names, std::string_view ending) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (name.ends_with(ending)) found.push_back(name);
  }
  return found;
}

// The one name to use: the preferred one, else the only one; empty when there is none.
std::string choose(const std::vector<std::string>& names, const std::string& preferred,
                   const fs::path& folder) {
  if (names.empty()) return {};
  if (std::find(names.begin(), names.end(), preferred) != names.end()) return preferred;
  if (names.size() == 1) return names.front();
  throw InputError("holds " + std::to_string(names.size()) + " files like " + in_quotes(names.front()) +
                       " and no " + preferred + "; name the one to read",
                   folder.string());
}

void require_all_shards(const CheckpointFiles& files, const std::vector<std::string>& present) {
  for (const std::string& shard : files.shards) {
    if (!std::binary_search(present.begin(), present.end(), shard)) {
      throw InputError("names the shard " + in_quotes(shard) + ", which is missing", files.index_path);
    }
  }
}

// A leftover shard of another download would go unread in silence.
void refuse_extra_shards(const CheckpointFiles& files, const std::vector<std::string>& present,
                         std::string_view index_name) {
  const std::string stem(index_name.substr(0, index_name.size() - kIndex.size()));
  for (const std::string& name : names_ending(present, kWeights)) {
    const bool shard_like = name.starts_with(stem + "-") && name.find("-of-") != std::string::npos;
    if (shard_like && !std::binary_search(files.shards.begin(), files.shards.end(), name)) {
      throw InputError("does not name the shard " + in_quotes(name) + ", which is in the folder",
                       files.index_path);
    }
  }
}

// "3" for model-00001-of-00003.safetensors; empty for a name that is not of this pattern, or a lone 1.
std::string several_shards(std::string_view name) {
  name.remove_suffix(kWeights.size());
  const std::size_t of = name.rfind("-of-");
  if (of == std::string_view::npos) return {};
  std::string_view count = name.substr(of + 4);
  if (count.find_first_not_of("0123456789") != std::string_view::npos) return {};
  count.remove_prefix(std::min(count.find_first_not_of('0'), count.size()));
  return count == "1" ? std::string() : std::string(count);
}

void refuse_part_of_several(const std::string& name, const fs::path& folder) {
  const std::string count = several_shards(name);
  if (count.empty()) return;
  throw InputError("holds " + in_quotes(name) + ", one of " + count + " shards, but no index (model" +
                       std::string(kIndex) + ")",
                   folder.string());
}

CheckpointFiles find_in_folder(const fs::path& folder) {
  CheckpointFiles files;
  files.is_folder = true;
  files.folder = folder;
  const std::vector<std::string> present = list_folder(folder);
  const std::vector<std::string> weights = names_ending(present, kWeights);
  const std::string index = choose(names_ending(present, kIndex), "model" + std::string(kIndex), folder);
  if (!index.empty()) {
    const fs::path index_path = folder / index;
    files.index_path = index_path.string();
    files.weight_map =
        parse_shard_index(read_text_file(index_path, kLongestSafetensorsHeader), files.index_path);
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : *files.weight_map) shards.insert(shard);
    files.shards.assign(shards.begin(), shards.end());
    require_all_shards(files, present);
    refuse_extra_shards(files, present, index);
  } else if (!weights.empty()) {
    files.shards = {choose(weights, "model" + std::string(kWeights), folder)};
    refuse_part_of_several(files.shards.front(), folder);
  } else {
    const auto foreign = std::find_if(present.begin(), present.end(), is_foreign_weight_file);
    throw InputError(
        "holds no .safetensors file" +
            (foreign == present.end() ? std::string() : " (there is " + in_quotes(*foreign) + ")"),
        folder.string());
  }
  for (const std::string& shard : files.shards) files.paths.push_back(folder / shard);
  for (const std::string& name : present) {
    const bool weight = name.ends_with(kWeights) || name.ends_with(kIndex) || is_foreign_weight_file(name);
    if (!weight) files.other_files.push_back(name);
  }
  return files;
}

}  // namespace

CheckpointFiles find_checkpoint_files(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw InputError("no such file or folder", path.string());
  if (error) throw InputError("cannot open: " + error.message(), path.string());
  if (fs::is_directory(status)) return find_in_folder(path);
  CheckpointFiles files;
  files.folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  files.shards = {path.filename().string()};
  files.paths = {path};
  return files;
}

}  // namespace afp
