// The one seam between the library and the system's files: positioned reads and writes that finish
// or throw, and the few calls that make a file durable. What the user names and cannot be opened is an
// InputError; a machine that fails (disk full, read error) is an IoError with the system's words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace afp {

// Identifies a file's content as far as the system can tell without reading it.
struct FileStatus {
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;  // nanoseconds since the epoch
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  bool operator==(const FileStatus&) const = default;
};

enum class IfExists { fail, truncate };

// An open regular file. Reads and writes carry their own offset, so threads may share one File.
class File {
 public:
  static File open(const std::filesystem::path& path);  // for reading
  static File create(const std::filesystem::path& path, IfExists if_exists);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::string& name() const { return name_; }  // the path as given, for messages
  FileStatus status() const;

  // Fills `out`; InputError when the file ends before that.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;
  void write_at(std::uint64_t offset, std::span<const std::byte> data) const;

  // Makes the file this long and claims its blocks, so that a disk that is too full says so at once.
  void reserve(std::uint64_t bytes) const;
  void sync() const;  // returns once the content is on the disk

  // Hints; they never fail. `bytes` 0 means up to the end.
  void start_writeback(std::uint64_t offset, std::uint64_t bytes) const noexcept;
  void will_need(std::uint64_t offset, std::uint64_t bytes) const noexcept;
  void dont_need(std::uint64_t offset, std::uint64_t bytes) const noexcept;

 private:
  File(int descriptor, std::string name);

  int descriptor_ = -1;
  std::string name_;
};

// Reads a whole file of at most `limit` bytes; InputError when it is longer.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit);

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);
void sync_folder(const std::filesystem::path& folder);  // makes renames and removals in it durable
void remove_file(const std::filesystem::path& path);    // absent already is fine

}  // namespace afp
