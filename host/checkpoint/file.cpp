// Bodies of file.hpp: every system call on a file that the library makes is here.
#include "host/checkpoint/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "afp/error.hpp"

namespace afp {
namespace {

std::string words(const std::string& what, int error) {
  return what + ": " + std::strerror(error);
}

// Whether a failed open says something about the machine rather than about the path.
bool is_machine_fault(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
}

template <class Call>
auto retry_if_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// One system call moves at most this much: Linux stops a little below 2 GiB, and a signal is noticed sooner.
constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;

}  // namespace

File::File(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), name_(std::move(other.name_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(name_, other.name_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File File::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  // O_NONBLOCK: opening a pipe that nobody writes to must fail below, not wait for ever.
  const int descriptor =
      retry_if_interrupted([&] { return ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor < 0) {
    const int error = errno;
    if (is_machine_fault(error)) throw IoError(words("cannot open", error), name);
    throw InputError(words("cannot open", error), name);
  }
  File file(descriptor, name);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) throw IoError(words("cannot read the status", errno), name);
  if (S_ISDIR(status.st_mode)) throw InputError("is a folder, expected a file", name);
  if (!S_ISREG(status.st_mode)) throw InputError("is not a regular file", name);
  return file;
}

File File::create(const std::filesystem::path& path, IfExists if_exists) {
  const std::string name = path.string();
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (if_exists == IfExists::fail ? O_EXCL : O_TRUNC);
  const int descriptor = retry_if_interrupted([&] { return ::open(name.c_str(), flags, 0666); });
  if (descriptor < 0) throw IoError(words("cannot create", errno), name);
  return File(descriptor, name);
}

FileStatus File::status() const {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) throw IoError(words("cannot read the status", errno), name_);
  return {.bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
          .device = status.st_dev,
          .inode = status.st_ino};
}

void File::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = retry_if_interrupted([&] {
      return ::pread(descriptor_, out.data(), std::min(out.size(), kLargestTransfer),
                     static_cast<off_t>(offset));
    });
    if (count < 0) throw IoError(words("cannot read", errno), name_);
    if (count == 0) {
      throw InputError("file became shorter: it ends at byte " + std::to_string(offset) + ", expected " +
                           std::to_string(out.size()) + " more",
                       name_);
    }
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

void File::write_at(std::uint64_t offset, std::span<const std::byte> data) const {
  while (!data.empty()) {
    const ssize_t count = retry_if_interrupted([&] {
      return ::pwrite(descriptor_, data.data(), std::min(data.size(), kLargestTransfer),
                      static_cast<off_t>(offset));
    });
    if (count < 0) throw IoError(words("cannot write", errno), name_);
    if (count == 0) throw IoError("cannot write: the system accepts no bytes", name_);
    offset += static_cast<std::uint64_t>(count);
    data = data.subspan(static_cast<std::size_t>(count));
  }
}

void File::reserve(std::uint64_t bytes) const {
  if (bytes == 0) return;
  const auto length = static_cast<off_t>(bytes);
  // fallocate itself, not posix_fallocate: where a file system cannot reserve, the latter writes the
  // whole file with zeros first.
  if (retry_if_interrupted([&] { return ::fallocate(descriptor_, 0, 0, length); }) == 0) return;
  if (errno != EOPNOTSUPP)
    throw IoError(words("cannot reserve " + std::to_string(bytes) + " bytes", errno), name_);
  if (retry_if_interrupted([&] { return ::ftruncate(descriptor_, length); }) != 0) {
    throw IoError(words("cannot set the length", errno), name_);
  }
}

void File::sync() const {
  if (retry_if_interrupted([&] { return ::fsync(descriptor_); }) != 0) {
    throw IoError(words("cannot write to the disk", errno), name_);
  }
}

void File::start_writeback(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  ::sync_file_range(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes),
                    SYNC_FILE_RANGE_WRITE);
}

void File::will_need(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

void File::dont_need(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
  const File file = File::open(path);
  const std::uint64_t bytes = file.status().bytes;
  if (bytes > limit) {
    throw InputError("has " + std::to_string(bytes) + " bytes, expected at most " + std::to_string(limit),
                     file.name());
  }
  std::string text(bytes, '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    throw IoError(words("cannot rename to " + to.string(), errno), from.string());
  }
}

void sync_folder(const std::filesystem::path& folder) {
  const std::string name = folder.empty() ? "." : folder.string();
  const int descriptor =
      retry_if_interrupted([&] { return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) throw IoError(words("cannot open the folder", errno), name);
  const int result = retry_if_interrupted([&] { return ::fsync(descriptor); });
  const int error = errno;
  ::close(descriptor);
  // EINVAL: this file system has no such thing as a folder's sync; its renames need none.
  if (result != 0 && error != EINVAL)
    throw IoError(words("cannot write the folder to the disk", error), name);
}

void remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    throw IoError(words("cannot remove", errno), path.string());
}

}  // namespace afp
