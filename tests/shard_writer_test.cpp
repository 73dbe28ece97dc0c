// What ShardWriter leaves on the disk: the exact file, or nothing at all.
#include "host/checkpoint/shard_writer.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "afp/checkpoint.hpp"
#include "afp/error.hpp"
#include "expect_error.hpp"
#include "lowered_limit.hpp"
#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"

namespace afp {
namespace {

const std::vector<TensorInfo> kTensors = {
    {"w", DType::F32, {2}}, {"none", DType::BF16, {0, 4}}, {"codes", DType::U8, {3}}};
const std::map<std::string, std::string> kMetadata = {{"format", "pt"}};

TEST(ShardWriter, WritesHeaderAndDataWhateverTheOrder) {
  const TempFolder folder;
  ShardWriter writer(folder / "s", kTensors, kMetadata);
  writer.write(2, 1, bytes_of("YZ"));
  writer.write(0, 0, bytes_of("abcdefgh"));
  writer.write(1, 0, {});
  writer.write(2, 0, bytes_of("X"));
  EXPECT_FALSE(exists(folder / "s"));
  writer.commit();
  EXPECT_FALSE(exists(folder / "s.tmp"));
  const std::string expected = serialize_safetensors_header(kTensors, kMetadata) + "abcdefghXYZ";
  EXPECT_EQ(read_bytes(folder / "s"), expected);
  EXPECT_EQ(writer.file_bytes(), expected.size());
}

TEST(ShardWriter, NoTensorsMakeAValidFile) {
  const TempFolder folder;
  ShardWriter(folder / "s", {}, {}).commit();
  EXPECT_TRUE(Checkpoint::open(folder / "s").tensors().empty());
}

TEST(ShardWriter, WithoutCommitLeavesNothing) {
  const TempFolder folder;
  {
    ShardWriter writer(folder / "s", kTensors, kMetadata);
    writer.write(0, 0, bytes_of("abcdefgh"));
    writer.write(2, 0, bytes_of("XYZ"));
  }
  EXPECT_TRUE(is_empty(folder.path()));
}

TEST(ShardWriter, RefusesToCommitWhileBytesAreMissing) {
  const TempFolder folder;
  {
    ShardWriter writer(folder / "s", kTensors, kMetadata);
    writer.write(0, 0, bytes_of("abcdefgh"));
    expect_error<UsageError>([&] { writer.commit(); }, "cannot complete a shard: 8 of 11 bytes were written");
  }
  EXPECT_TRUE(is_empty(folder.path()));
}

TEST(ShardWriter, RefusesBytesOutsideATensor) {
  const TempFolder folder;
  ShardWriter writer(folder / "s", kTensors, kMetadata);
  expect_error<UsageError>([&] { writer.write(0, 1, bytes_of("abcdefgh")); },
                           "bytes 1 + 8 of tensor 'w' are past its end (8 bytes)");
  expect_error<UsageError>([&] { writer.write(2, ~std::uint64_t{0}, bytes_of("a")); },
                           "bytes 18446744073709551615 + 1 of tensor 'codes' are past its end (3 bytes)");
  expect_error<UsageError>([&] { writer.write(3, 0, {}); }, "tensor 3 of 3 cannot be written");
}

TEST(ShardWriter, ReplacesAnOlderFileOnlyAtTheCommit) {
  const TempFolder folder;
  write_bytes(folder / "s", "old");
  write_bytes(folder / "s.tmp", "left by a killed run");
  ShardWriter writer(folder / "s", {{"a", DType::U8, {1}}}, {});
  writer.write(0, 0, bytes_of("x"));
  EXPECT_EQ(read_bytes(folder / "s"), "old");
  writer.commit();
  EXPECT_EQ(read_bytes(folder / "s").back(), 'x');
}

TEST(ShardWriter, FullDiskIsFoundBeforeAnyWorkAndLeavesNothing) {
  const TempFolder folder;
  {
    const LoweredLimit limit(RLIMIT_FSIZE, 1 << 20);
    EXPECT_THROW(ShardWriter(folder / "s", {{"a", DType::U8, {2 << 20}}}, {}), IoError);
  }
  EXPECT_TRUE(is_empty(folder.path()));
}

TEST(ShardWriter, RefusesTensorsThatCannotBeLaidOut) {
  const TempFolder folder;
  EXPECT_THROW(ShardWriter(folder / "s", {{"a", DType::F4, {3}}}, {}), InputError);
  EXPECT_THROW(ShardWriter(folder / "s", {kTensors[0], kTensors[0]}, {}), InputError);
  EXPECT_TRUE(is_empty(folder.path()));
}

// 48 MiB from four threads in pieces that cross the writeback marks.
TEST(ShardWriter, ThreadsWriteSideBySide) {
  const TempFolder folder;
  constexpr std::size_t kPiece = 3 << 20;
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kPieces = 4;  // a thread
  ShardWriter writer(folder / "s", {{"a", DType::U8, {kThreads, kPieces, kPiece}}}, {});
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t p = 0; p < kPieces; ++p) {
        const std::string piece(kPiece, static_cast<char>('a' + t * kPieces + p));
        writer.write(0, (t * kPieces + p) * kPiece, bytes_of(piece));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  writer.commit();
  const std::string content = read_bytes(folder / "s");
  const std::size_t data_begin = writer.file_bytes() - kThreads * kPieces * kPiece;
  for (std::size_t p = 0; p < kThreads * kPieces; ++p) {
    const std::string_view piece = std::string_view(content).substr(data_begin + p * kPiece, kPiece);
    EXPECT_TRUE(piece == std::string(kPiece, static_cast<char>('a' + p))) << p;
  }
}

}  // namespace
}  // namespace afp
