// The file seam against a real system: what is read and written, what every failure is called, and that
// a file which is not complete never shows under its name.
#include "host/checkpoint/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "host/checkpoint/pending_file.hpp"
#include "lowered_limit.hpp"
#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"

namespace afp {
namespace {

std::string read_text(const File& file, std::uint64_t offset, std::size_t bytes) {
  std::string text(bytes, '?');
  file.read_at(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

TEST(File, ReadsWhatWasWritten) {
  const TempFolder folder;
  const File file = File::create(folder / "f", IfExists::fail);
  file.write_at(3, bytes_of("def"));
  file.write_at(0, bytes_of("abc"));
  file.sync();
  const File again = File::open(folder / "f");
  EXPECT_EQ(again.status().bytes, 6u);
  EXPECT_EQ(read_text(again, 0, 6), "abcdef");
  EXPECT_EQ(read_text(again, 2, 3), "cde");
  EXPECT_EQ(read_text(again, 6, 0), "");
  EXPECT_EQ(again.name(), (folder / "f").string());
}

TEST(File, MovesKeepOneOwner) {
  const TempFolder folder;
  write_bytes(folder / "a", "A");
  write_bytes(folder / "b", "B");
  File a = File::open(folder / "a");
  File b = File::open(folder / "b");
  b = std::move(a);
  EXPECT_EQ(read_text(b, 0, 1), "A");
  const File c = std::move(b);
  EXPECT_EQ(read_text(c, 0, 1), "A");
}

TEST(File, StatusIsTheSystems) {
  const TempFolder folder;
  write_bytes(folder / "f", "12345");
  struct stat expected = {};
  ASSERT_EQ(::stat((folder / "f").c_str(), &expected), 0);
  const FileStatus status = File::open(folder / "f").status();
  EXPECT_EQ(status.bytes, 5u);
  EXPECT_EQ(status.inode, expected.st_ino);
  EXPECT_EQ(status.device, expected.st_dev);
  EXPECT_EQ(status.modified_ns, expected.st_mtim.tv_sec * 1'000'000'000 + expected.st_mtim.tv_nsec);
}

TEST(File, MissingIsBadInput) {
  const TempFolder folder;
  expect_error<InputError>([&] { File::open(folder / "f"); },
                           (folder / "f").string() + ": cannot open: No such file or directory");
}

TEST(File, FolderIsBadInput) {
  const TempFolder folder;
  expect_error<InputError>([&] { File::open(folder.path()); },
                           folder.path().string() + ": is a folder, expected a file");
}

TEST(File, PipeIsBadInputAndDoesNotHang) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "p").c_str(), 0600), 0);
  expect_error<InputError>([&] { File::open(folder / "p"); },
                           (folder / "p").string() + ": is not a regular file");
}

TEST(File, LinkToItselfIsBadInput) {
  const TempFolder folder;
  std::filesystem::create_symlink(folder / "l", folder / "l");
  expect_error<InputError>([&] { File::open(folder / "l"); },
                           (folder / "l").string() + ": cannot open: Too many levels of symbolic links");
}

TEST(File, TooManyOpenFilesIsTheMachinesFault) {
  const TempFolder folder;
  write_bytes(folder / "f", "x");
  const auto open = [&] {
    const LoweredLimit limit(RLIMIT_NOFILE,
                             0);  // for this call alone: the checks of a sanitizer open files too
    File::open(folder / "f");
  };
  expect_error<IoError>(open, (folder / "f").string() + ": cannot open: Too many open files");
}

TEST(File, EarlyEndIsBadInput) {
  const TempFolder folder;
  write_bytes(folder / "f", "abc");
  const File file = File::open(folder / "f");
  expect_error<InputError>(
      [&] { read_text(file, 1, 7); },
      (folder / "f").string() + ": file became shorter: it ends at byte 3, expected 5 more");
}

TEST(File, ReadErrorIsTheMachinesFault) {
  const File memory = File::open("/proc/self/mem");  // nothing is mapped at address 0
  expect_error<IoError>([&] { read_text(memory, 0, 1); }, "/proc/self/mem: cannot read: Input/output error");
}

TEST(File, FullDiskIsTheMachinesFault) {
  const File full = File::create("/dev/full", IfExists::truncate);
  expect_error<IoError>([&] { full.write_at(0, bytes_of("x")); },
                        "/dev/full: cannot write: No space left on device");
}

// The system first writes a part, then says why not the rest.
TEST(File, ShortWriteIsContinuedUntilTheSystemSaysWhy) {
  const TempFolder folder;
  const File file = File::create(folder / "f", IfExists::fail);
  const LoweredLimit limit(RLIMIT_FSIZE, 4);
  expect_error<IoError>([&] { file.write_at(0, bytes_of("abcdef")); },
                        (folder / "f").string() + ": cannot write: File too large");
  EXPECT_EQ(read_bytes(folder / "f"), "abcd");
}

TEST(File, ReserveSaysAtOnceThatThereIsNoRoom) {
  const TempFolder folder;
  const File file = File::create(folder / "f", IfExists::fail);
  const LoweredLimit limit(RLIMIT_FSIZE, 1000);
  expect_error<IoError>([&] { file.reserve(1001); },
                        (folder / "f").string() + ": cannot reserve 1001 bytes: File too large");
}

TEST(File, ReserveSetsTheLength) {
  const TempFolder folder;
  const File file = File::create(folder / "f", IfExists::fail);
  file.reserve(0);
  EXPECT_EQ(file.status().bytes, 0u);
  file.reserve(5000);
  EXPECT_EQ(read_bytes(folder / "f"), std::string(5000, '\0'));
}

TEST(File, CreateKeepsOrTruncatesWhatIsThere) {
  const TempFolder folder;
  write_bytes(folder / "f", "old");
  expect_error<IoError>([&] { File::create(folder / "f", IfExists::fail); },
                        (folder / "f").string() + ": cannot create: File exists");
  EXPECT_EQ(read_bytes(folder / "f"), "old");
  File::create(folder / "f", IfExists::truncate);
  EXPECT_EQ(read_bytes(folder / "f"), "");
}

TEST(File, CreateInMissingFolderFails) {
  const TempFolder folder;
  expect_error<IoError>([&] { File::create(folder / "no/f", IfExists::fail); },
                        (folder / "no/f").string() + ": cannot create: No such file or directory");
}

TEST(File, HintsLeaveTheContentAlone) {
  const TempFolder folder;
  const File file = File::create(folder / "f", IfExists::fail);
  file.write_at(0, bytes_of("abc"));
  file.start_writeback(0, 0);
  file.start_writeback(1, 1u << 20);
  file.will_need(0, 1);
  file.dont_need(0, 0);
  EXPECT_EQ(read_bytes(folder / "f"), "abc");
}

TEST(ReadTextFile, UpToItsLimit) {
  const TempFolder folder;
  write_bytes(folder / "f", std::string("a\0b", 3));
  EXPECT_EQ(read_text_file(folder / "f", 3), std::string("a\0b", 3));
  expect_error<InputError>([&] { read_text_file(folder / "f", 2); },
                           (folder / "f").string() + ": has 3 bytes, expected at most 2");
}

TEST(RemoveFile, IsContentWithNothingToRemove) {
  const TempFolder folder;
  write_bytes(folder / "f", "x");
  remove_file(folder / "f");
  EXPECT_FALSE(exists(folder / "f"));
  remove_file(folder / "f");
  EXPECT_THROW(remove_file(folder.path()), IoError);
}

TEST(RenameFile, NamesBothWhenItFails) {
  const TempFolder folder;
  expect_error<IoError>([&] { rename_file(folder / "a", folder / "b"); },
                        (folder / "a").string() + ": cannot rename to " + (folder / "b").string() +
                            ": No such file or directory");
}

TEST(SyncFolder, NeedsAFolder) {
  const TempFolder folder;
  write_bytes(folder / "f", "x");
  sync_folder(folder.path());
  sync_folder("");  // the current one, as the parent of a bare file name
  EXPECT_THROW(sync_folder(folder / "f"), IoError);
}

// ---------------------------------------------------------------- PendingFile

TEST(PendingFile, AppearsWithTheCommit) {
  const TempFolder folder;
  PendingFile pending(folder / "f");
  pending.file().write_at(0, bytes_of("new"));
  EXPECT_FALSE(exists(folder / "f"));
  pending.commit();
  EXPECT_EQ(read_bytes(folder / "f"), "new");
  EXPECT_FALSE(exists(folder / "f.tmp"));
}

TEST(PendingFile, WithoutACommitNothingChanged) {
  const TempFolder folder;
  write_bytes(folder / "f", "old");
  {
    const PendingFile pending(folder / "f");
    pending.file().write_at(0, bytes_of("new"));
    EXPECT_TRUE(exists(folder / "f.tmp"));
  }
  EXPECT_FALSE(exists(folder / "f.tmp"));
  EXPECT_EQ(read_bytes(folder / "f"), "old");
}

TEST(PendingFile, LeftoverOfAKilledRunIsReplacedAndItsLinkNotFollowed) {
  const TempFolder folder;
  write_bytes(folder / "precious", "precious");
  std::filesystem::create_symlink(folder / "precious", folder / "f.tmp");
  PendingFile pending(folder / "f");
  pending.file().write_at(0, bytes_of("new"));
  pending.commit();
  EXPECT_EQ(read_bytes(folder / "precious"), "precious");
  EXPECT_EQ(read_bytes(folder / "f"), "new");
}

TEST(PendingFile, FailedRenameLeavesNothingBehind) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "f");  // a file cannot replace a folder
  {
    PendingFile pending(folder / "f");
    EXPECT_THROW(pending.commit(), IoError);
  }
  EXPECT_FALSE(exists(folder / "f.tmp"));
}

TEST(WriteFileAtomically, ReplacesTheWholeContent) {
  const TempFolder folder;
  write_bytes(folder / "f", "old and longer");
  write_file_atomically(folder / "f", "new");
  EXPECT_EQ(read_bytes(folder / "f"), "new");
}

TEST(WriteFileAtomically, FullDiskKeepsTheOldContent) {
  const TempFolder folder;
  write_bytes(folder / "f", "old");
  const LoweredLimit limit(RLIMIT_FSIZE, 2);
  EXPECT_THROW(write_file_atomically(folder / "f", "new"), IoError);
  EXPECT_EQ(read_bytes(folder / "f"), "old");
  EXPECT_FALSE(exists(folder / "f.tmp"));
}

}  // namespace
}  // namespace afp
