// Bodies of output_folder.hpp.
#include "host/checkpoint/output_folder.hpp"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

#include "afp/error.hpp"
#include "host/checkpoint/file.hpp"
#include "host/checkpoint/json_object.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/pending_file.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/safetensors_header.hpp"
#include "host/checkpoint/strict_json.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFinishedFolder = ".afp-finished";  // what `.afp-partial` is called while it is removed
constexpr const char* kJobFile = "job.json";
constexpr std::uint64_t kLongestRecord = std::uint64_t{1} << 30;

[[noreturn]] void fail(const std::string& what, const fs::path& path, const std::error_code& error) {
  throw IoError(what + ": " + error.message(), path.string());
}

// Whether the folder had to be made.
bool make_folders(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (fs::is_directory(status)) return false;
  if (fs::exists(status)) throw UsageError(folder.string() + ": is a file, expected a folder");
  fs::create_directories(folder, error);
  if (error) fail("cannot create the folder", folder, error);
  const fs::path absolute = fs::absolute(folder).lexically_normal();
  sync_folder((absolute.has_filename() ? absolute : absolute.parent_path()).parent_path());
  return true;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  while (!error && entry != fs::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  if (error) fail("cannot list the folder", folder, error);
  std::sort(names.begin(), names.end());
  return names;
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);  // of a link the link itself
  if (error) fail("cannot remove", path, error);
}

void remove_leftovers(const fs::path& folder) {
  for (const std::string& name : names_in(folder)) {
    if (name.ends_with(".tmp") && is_file(folder / name)) remove_file(folder / name);
  }
}

// `inner` is `outer` or lies somewhere below it; both canonical.
bool lies_in(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(path, error);
  return error ? fs::absolute(path) : result;
}

// What --force must never empty, and no run should write into.
void refuse_dangerous_target(const fs::path& folder, const Checkpoint& source) {
  const fs::path target = real_path(folder);
  const auto refuse = [&](const std::string& what) {
    throw UsageError(folder.string() + ": " + what + "; name another folder for the output");
  };
  const fs::path source_folder = real_path(source.folder());
  if (target == source_folder) refuse("is the folder that is read");
  if (lies_in(source_folder, target)) refuse("holds the folder that is read");
  if (target == target.root_path()) refuse("is the root folder");
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0' && lies_in(real_path(home), target)) refuse("holds the home folder");
}

// Empties the folder so that at no moment what is left looks complete, and an unfinished run's folder still
// tells that it is one.
void empty_folder(const fs::path& folder) {
  for (const char* marker : {kConfigFile, kManifestFile}) {
    if (is_there(folder / marker)) remove_tree(folder / marker);
  }
  sync_folder(folder);
  for (const std::string& name : names_in(folder)) {
    if (name != kPartialFolder) remove_tree(folder / name);
  }
  remove_tree(folder / kPartialFolder);
  sync_folder(folder);
}

std::string digest_text(std::uint64_t digest) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kHex[digest >> shift & 15];
  return text;
}

struct ShardIdentity {
  std::uint64_t bytes;
  std::string header_digest;

  explicit ShardIdentity(const fs::path& shard) {
    const File file = File::open(shard);
    bytes = file.status().bytes;
    header_digest = digest_text(read_safetensors_header(file).digest);
  }
};

void copy_atomically(const fs::path& from, const fs::path& to) {
  constexpr std::uint64_t kChunk = 1 << 20;
  const File source = File::open(from);
  const std::uint64_t size = source.status().bytes;
  PendingFile pending(to);
  std::vector<std::byte> chunk(std::min(size, kChunk));
  for (std::uint64_t offset = 0; offset < size; offset += chunk.size()) {
    chunk.resize(std::min(size - offset, kChunk));
    source.read_at(offset, chunk);
    pending.file().write_at(offset, chunk);
  }
  pending.commit();
}

// Throws UsageError for a folder that holds anything but the beginnings of a run.
void refuse_occupied(const fs::path& folder) {
  std::vector<std::string> names = names_in(folder);
  std::erase(names, kPartialFolder);  // without a job nothing has happened in it
  if (names.empty()) return;
  if (is_file(folder / kManifestFile) && !is_there(folder / kPartialFolder))
    throw UsageError(folder.string() + ": already complete; use --force to replace it");
  throw UsageError(folder.string() + ": is not empty (holds " + in_quotes(names.front()) +
                   "); use --force to remove what it holds");
}

}  // namespace

void OutputFolder::require_free(const fs::path& folder, const Checkpoint& source, bool force) {
  refuse_dangerous_target(folder, source);
  std::error_code error;
  if (force || !fs::is_directory(folder, error) || is_file(folder / kPartialFolder / kJobFile)) return;
  refuse_occupied(folder);
}

OutputFolder::OutputFolder(fs::path folder, const Checkpoint& source, std::string job, bool force)
    : folder_(std::move(folder)), job_(std::move(job)) {
  if (folder_.empty()) throw UsageError("the name of the output folder is empty");
  refuse_dangerous_target(folder_, source);
  made_folder_ = make_folders(folder_);
  lock_.emplace(folder_);
  begin_or_resume(force);
}

void OutputFolder::begin_or_resume(bool force) {
  if (is_there(file(kFinishedFolder))) remove_tree(file(kFinishedFolder));  // of a run killed after its end
  const fs::path job_path = partial() / kJobFile;
  if (is_file(job_path)) {
    if (read_text_file(job_path, kLongestRecord) == job_) {
      remove_leftovers(folder_);
      remove_leftovers(partial());
      return;
    }
    if (!force) {
      throw UsageError(
          folder_.string() +
          ": holds an unfinished run of another command or input; run that one again to finish it, "
          "or use --force to begin anew");
    }
  }
  if (!force) refuse_occupied(folder_);
  empty_folder(folder_);
  std::error_code error;
  fs::create_directory(partial(), error);
  if (error) fail("cannot create the folder", partial(), error);
  sync_folder(folder_);
  write_file_atomically(job_path, job_);
}

fs::path OutputFolder::record_path(const std::string& shard_name) const {
  return partial() / ("shard-" + shard_name + ".json");
}

std::optional<std::string> OutputFolder::finished_shard(const std::string& shard_name) const {
  const fs::path path = record_path(shard_name);
  if (!is_file(path) || !is_file(file(shard_name))) return std::nullopt;
  try {
    const nlohmann::json document = parse_strict_json(read_text_file(path, kLongestRecord), path.string());
    JsonObject object(document, "", path.string());
    const std::uint64_t bytes = object.unsigned_number("file_bytes");
    const std::string header_digest = object.text("header_digest");
    std::string record = object.text("record");
    object.refuse_other_keys();
    const ShardIdentity shard(file(shard_name));
    if (shard.bytes != bytes || shard.header_digest != header_digest) return std::nullopt;
    return record;
  } catch (const InputError&) {  // a damaged shard or record: the shard is made again
    return std::nullopt;
  }
}

void OutputFolder::shard_finished(const std::string& shard_name, const std::string& record) {
  const ShardIdentity shard(file(shard_name));
  nlohmann::ordered_json object;
  object["file_bytes"] = shard.bytes;
  object["header_digest"] = shard.header_digest;
  object["record"] = record;
  write_file_atomically(record_path(shard_name), dump_line(object) + "\n");
}

void OutputFolder::write(const std::string& name, const std::string& text) {
  write_file_atomically(file(name), text);
}

void OutputFolder::copy_other_files(const Checkpoint& source) {
  for (const std::string& name : source.other_files()) {
    if (name != kConfigFile && name != kManifestFile) copy_atomically(source.folder() / name, file(name));
  }
}

void OutputFolder::commit(const std::string& marker_name, const std::string& text) {
  write(marker_name, text);
  commit();
}

void OutputFolder::discard() noexcept {
  try {
    empty_folder(folder_);
    std::error_code ignored;
    if (made_folder_) fs::remove(folder_, ignored);
  } catch (const std::exception&) {
    // The error that led here is the one to report.
  }
}

void OutputFolder::commit() {
  rename_file(partial(), file(kFinishedFolder));
  sync_folder(folder_);
  remove_tree(file(kFinishedFolder));
}

}  // namespace afp
