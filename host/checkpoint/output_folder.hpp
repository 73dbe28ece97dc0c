// The transaction around an output folder: shards appear one by one, each with a record that lets a
// later run of the same job take it over; what marks the folder as complete is written last.
//
// A run is unfinished exactly while the folder `.afp-partial` is there:
//
//     OUT/.afp-partial/job.json            the job, written before anything else
//     OUT/.afp-partial/shard-NAME.json     record of the finished shard NAME: its size, digest of its header
//     OUT/*.tmp                            what a killed run was writing; removed by the next one
//
// commit() writes the marker, then moves `.afp-partial` out of the way in one step. Whatever the moment at
// which a run is killed, the same run started again finds one of:
//
//     no folder, or an empty one, or only an empty `.afp-partial`   begins
//     `.afp-partial` with the same job                              goes on: recorded shards stay
//     the marker, no `.afp-partial`                                 "already complete"
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "afp/checkpoint.hpp"
#include "host/checkpoint/folder_lock.hpp"

namespace afp {

inline constexpr const char* kPartialFolder = ".afp-partial";
inline constexpr const char* kConfigFile = "config.json";

class OutputFolder {
 public:
  // `job` says, as text, everything that decides the bytes of the output. The folder (made with the folders
  // above it where they are absent) may be empty or hold an unfinished run of the same job, which is gone
  // on with. Else UsageError: already complete, another job's unfinished run, not empty (names what was
  // found); with `force` all that is removed instead, though never the root, the home folder, the source's
  // folder or one above it. Another run writing to it at this moment is a UsageError always.
  OutputFolder(std::filesystem::path folder, const Checkpoint& source, std::string job, bool force);

  // The UsageErrors of the constructor that can be told without the job, and without touching the folder.
  static void require_free(const std::filesystem::path& folder, const Checkpoint& source, bool force);

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path file(const std::string& name) const { return folder_ / name; }

  // The record that shard_finished() left for this shard, when shard and record are both whole.
  std::optional<std::string> finished_shard(const std::string& shard_name) const;
  // Call after the shard's file has its final name.
  void shard_finished(const std::string& shard_name, const std::string& record);

  // A small file of the output, atomically.
  void write(const std::string& name, const std::string& text);
  // Copies the source's other files (neither config.json nor a manifest), each atomically.
  void copy_other_files(const Checkpoint& source);
  // Writes the file whose presence means that the output is complete, then removes the records.
  void commit(const std::string& marker_name, const std::string& text);
  // The same where the shards (and their index) are all that there is.
  void commit();
  // Takes back all that was written, and the folder if this run made it: for input that no further run of
  // the same job could finish either. Never throws; what cannot be removed stays, unfinished.
  void discard() noexcept;

 private:
  void begin_or_resume(bool force);
  std::filesystem::path partial() const { return folder_ / kPartialFolder; }
  std::filesystem::path record_path(const std::string& shard_name) const;

  std::filesystem::path folder_;
  std::string job_;
  std::optional<FolderLock> lock_;
  bool made_folder_ = false;
};

}  // namespace afp
