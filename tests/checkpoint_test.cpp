// Checkpoints as they lie on a disk: single files, folders and shards, everything about them that is
// refused, and files that change under the reader.
#include "afp/checkpoint.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "lowered_limit.hpp"
#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexName = "model.safetensors.index.json";

std::string read(const Checkpoint& checkpoint, std::string_view name) {
  const CheckpointTensor* tensor = checkpoint.find(name);
  if (tensor == nullptr) return "(absent)";
  std::string data(tensor->bytes(), '?');
  checkpoint.read(*tensor, 0, std::as_writable_bytes(std::span(data)));
  return data;
}

// A folder with tensor a in shard s-1 and tensor b in shard s-2, whole until a test breaks it.
class TwoShards : public testing::Test {
 protected:
  TwoShards() {
    write_bytes(folder_ / kFirst, one_tensor_file("a", "AAA"));
    write_bytes(folder_ / kSecond, one_tensor_file("b", "BB"));
    write_index({{"a", kFirst}, {"b", kSecond}});
  }

  void write_index(const std::vector<std::pair<std::string, std::string>>& entries) {
    std::string map;
    for (const auto& [tensor, shard] : entries) {
      if (!map.empty()) map += ", ";
      map += '"' + tensor + "\": \"" + shard + '"';
    }
    write_bytes(folder_ / kIndexName, R"({"metadata": {"total_size": 5}, "weight_map": {)" + map + "}}");
  }

  void expect_refused(const std::string& file, const std::string& message) {
    expect_error<InputError>([&] { Checkpoint::open(folder_.path()); },
                             (file.empty() ? folder_.path() : folder_ / file).string() + ": " + message);
  }

  static constexpr const char* kFirst = "model-00001-of-00002.safetensors";
  static constexpr const char* kSecond = "model-00002-of-00002.safetensors";
  TempFolder folder_;
};

// ---------------------------------------------------------------- one file

TEST(SingleFile, IsReadWholeAndInPieces) {
  const TempFolder folder;
  write_bytes(
      folder / "net.bin",
      safetensors_bytes(  // the name does not matter
          R"({"__metadata__":{"format":"pt"},"second":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},)"
          R"("first":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}})",
          "abcdefg"));
  const Checkpoint checkpoint = Checkpoint::open(folder / "net.bin");
  EXPECT_EQ(checkpoint.kind(), CheckpointKind::safetensors);
  EXPECT_FALSE(checkpoint.is_folder());
  EXPECT_EQ(checkpoint.path(), folder / "net.bin");
  EXPECT_EQ(checkpoint.folder(), folder.path());
  EXPECT_TRUE(checkpoint.other_files().empty());
  ASSERT_EQ(checkpoint.tensors().size(), 2u);
  EXPECT_EQ(checkpoint.tensors()[0].name, "first");
  EXPECT_EQ(checkpoint.tensors()[0].dtype, DType::BF16);
  EXPECT_EQ(checkpoint.tensors()[0].shape, (Shape{2, 1}));
  ASSERT_EQ(checkpoint.shards().size(), 1u);
  EXPECT_EQ(checkpoint.shards()[0].file_name, "net.bin");
  EXPECT_EQ(checkpoint.shards()[0].file_bytes, fs::file_size(folder / "net.bin"));
  EXPECT_EQ(checkpoint.shards()[0].metadata.at("format"), "pt");
  EXPECT_EQ(checkpoint.shards()[0].tensors, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(read(checkpoint, "first"), "abcd");
  EXPECT_EQ(read(checkpoint, "second"), "efg");
  EXPECT_EQ(checkpoint.find("third"), nullptr);
  std::byte piece[2];
  checkpoint.read(*checkpoint.find("second"), 1, piece);
  EXPECT_EQ(static_cast<char>(piece[0]), 'f');
  EXPECT_EQ(static_cast<char>(piece[1]), 'g');
  const std::string content = read_bytes(folder / "net.bin");
  EXPECT_EQ(content.substr(checkpoint.find("second")->file_offset, 3), "efg");
}

TEST(SingleFile, BareNameIsInTheCurrentFolder) {
  const TempFolder folder;
  write_bytes(folder / "m.safetensors", one_tensor_file("a", "xyz"));
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  const Checkpoint checkpoint = Checkpoint::open("m.safetensors");
  EXPECT_EQ(checkpoint.folder(), ".");
  EXPECT_EQ(read(checkpoint, "a"), "xyz");
  fs::current_path(before);
}

TEST(SingleFile, EmptyTensorsAndNoTensors) {
  const TempFolder folder;
  write_bytes(folder / "none", safetensors_bytes("{}", ""));
  EXPECT_TRUE(Checkpoint::open(folder / "none").tensors().empty());
  write_bytes(folder / "empty", one_tensor_file("a", ""));
  EXPECT_EQ(read(Checkpoint::open(folder / "empty"), "a"), "");
}

TEST(SingleFile, BytesOutsideATensorAreRefused) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  const Checkpoint checkpoint = Checkpoint::open(folder / "m");
  std::byte two[2];
  expect_error<UsageError>([&] { checkpoint.read(checkpoint.tensors()[0], 2, two); },
                           "bytes 2 + 2 of tensor 'a' are past its end (3 bytes)");
  expect_error<UsageError>([&] { checkpoint.read(checkpoint.tensors()[0], ~std::uint64_t{0}, two); },
                           "bytes 18446744073709551615 + 2 of tensor 'a' are past its end (3 bytes)");
}

TEST(SingleFile, PrefetchNeverFails) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  const Checkpoint checkpoint = Checkpoint::open(folder / "m");
  checkpoint.prefetch(checkpoint.tensors()[0], 0, 3);
  checkpoint.prefetch(checkpoint.tensors()[0], 2, 9);
  fs::remove(folder / "m");
  checkpoint.prefetch(checkpoint.tensors()[0], 0, 3);
}

TEST(SingleFile, MovedCheckpointStillReads) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  Checkpoint checkpoint = Checkpoint::open(folder / "m");
  const Checkpoint moved = std::move(checkpoint);
  EXPECT_EQ(read(moved, "a"), "xyz");
}

TEST(SingleFile, WhatIsNoCheckpointIsRefused) {
  const TempFolder folder;
  const auto refused = [&](const std::string& name, const std::string& message) {
    SCOPED_TRACE(name);
    expect_error<InputError>([&] { Checkpoint::open(folder / name); },
                             (folder / name).string() + ": " + message);
  };
  refused("nothing", "no such file or folder");
  write_bytes(folder / "empty", "");
  refused("empty", "is empty, expected a safetensors file");
  write_bytes(folder / "torch", "PK\x03\x04 and so on");
  refused("torch", "is a zip file, perhaps a PyTorch checkpoint, expected a safetensors file");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  refused("pipe", "is not a regular file");
  refused("empty/below", "no such file or folder");
  fs::create_symlink(folder / "loop", folder / "loop");
  refused("loop", "cannot open: Too many levels of symbolic links");
}

// ---------------------------------------------------------------- a folder without an index

TEST(Folder, ModelSafetensorsIsPreferred) {
  const TempFolder folder;
  write_bytes(folder / "adapter.safetensors", one_tensor_file("x", "x"));
  write_bytes(folder / "model.safetensors", one_tensor_file("a", "xyz"));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(checkpoint.kind(), CheckpointKind::safetensors);
  EXPECT_TRUE(checkpoint.is_folder());
  EXPECT_EQ(checkpoint.folder(), folder.path());
  EXPECT_EQ(checkpoint.shards()[0].file_name, "model.safetensors");
  EXPECT_EQ(read(checkpoint, "a"), "xyz");
}

TEST(Folder, TheOnlyFileIsTaken) {
  const TempFolder folder;
  write_bytes(folder / "net.safetensors", one_tensor_file("a", "xyz"));
  EXPECT_EQ(Checkpoint::open(folder.path()).shards()[0].file_name, "net.safetensors");
  fs::rename(folder / "net.safetensors", folder / "model-00001-of-00001.safetensors");
  EXPECT_EQ(Checkpoint::open(folder.path()).shards().size(), 1u);
}

TEST(Folder, WithoutACheckpointIsRefused) {
  const TempFolder folder;
  const auto refused = [&](const std::string& message) {
    expect_error<InputError>([&] { Checkpoint::open(folder.path()); },
                             folder.path().string() + ": " + message);
  };
  refused("holds no .safetensors file");
  write_bytes(folder / "config.json", "{}");
  write_bytes(folder / ".hidden.safetensors", one_tensor_file("a", "x"));
  fs::create_directory(folder / "sub.safetensors");
  refused("holds no .safetensors file");
  write_bytes(folder / "pytorch_model.bin", "x");
  refused("holds no .safetensors file (there is 'pytorch_model.bin')");
  write_bytes(folder / "x.safetensors", one_tensor_file("a", "x"));
  write_bytes(folder / "y.safetensors", one_tensor_file("a", "x"));
  refused("holds 2 files like 'x.safetensors' and no model.safetensors; name the one to read");
}

TEST(Folder, OneShardOfSeveralWithoutAnIndexIsRefused) {
  const TempFolder folder;
  write_bytes(folder / "model-00001-of-00003.safetensors", one_tensor_file("a", "x"));
  expect_error<InputError>([&] { Checkpoint::open(folder.path()); },
                           folder.path().string() +
                               ": holds 'model-00001-of-00003.safetensors', one of 3 shards, but no index "
                               "(model.safetensors.index.json)");
}

TEST(Folder, OtherFilesAreTheRegularOnesThatHoldNoWeights) {
  const TempFolder folder;
  write_bytes(folder / "model.safetensors", one_tensor_file("a", "x"));
  for (const char* name :
       {"config.json", "tokenizer.json", "README.md", "merges.txt", "training_args.bin", "spiece.model"}) {
    write_bytes(folder / name, "x");
  }
  for (const char* name :
       {"other.safetensors", "pytorch_model.bin", "pytorch_model-00001-of-00002.bin",
        "pytorch_model.bin.index.json", "consolidated.00.pth", "a.pt", "a.th", "a.gguf", ".gitattributes"}) {
    write_bytes(folder / name, "x");
  }
  fs::create_directory(folder / "onnx");
  fs::create_symlink(folder / "nowhere", folder / "broken_link");
  fs::create_symlink(folder / "config.json", folder / "linked.json");
  EXPECT_EQ(Checkpoint::open(folder.path()).other_files(),
            (std::vector<std::string>{"README.md", "config.json", "linked.json", "merges.txt", "spiece.model",
                                      "tokenizer.json", "training_args.bin"}));
}

// Download caches keep the content elsewhere and fill the folder with links.
TEST(Folder, LinkedFilesAreFollowed) {
  const TempFolder blobs;
  const TempFolder folder;
  write_bytes(blobs / "0123", one_tensor_file("a", "xyz"));
  fs::create_symlink(blobs / "0123", folder / "model.safetensors");
  EXPECT_EQ(read(Checkpoint::open(folder.path()), "a"), "xyz");
}

// ---------------------------------------------------------------- shards with an index

TEST_F(TwoShards, AreOneCheckpoint) {
  const Checkpoint checkpoint = Checkpoint::open(folder_.path());
  EXPECT_EQ(checkpoint.kind(), CheckpointKind::sharded);
  ASSERT_EQ(checkpoint.shards().size(), 2u);
  EXPECT_EQ(checkpoint.shards()[0].file_name, kFirst);
  EXPECT_EQ(checkpoint.shards()[1].file_name, kSecond);
  EXPECT_EQ(checkpoint.shards()[1].tensors, (std::vector<std::size_t>{1}));
  EXPECT_EQ(checkpoint.find("b")->shard, 1u);
  EXPECT_EQ(read(checkpoint, "a"), "AAA");
  EXPECT_EQ(read(checkpoint, "b"), "BB");
  EXPECT_TRUE(checkpoint.other_files().empty());
  EXPECT_NE(checkpoint.shards()[0].header_digest, checkpoint.shards()[1].header_digest);
}

TEST_F(TwoShards, ModelSafetensorsBesideAnIndexIsLeftAlone) {
  write_bytes(folder_ / "model.safetensors", "not even one");
  EXPECT_EQ(Checkpoint::open(folder_.path()).shards().size(), 2u);
}

TEST_F(TwoShards, AnIndexOfAnotherNameWillDo) {
  fs::rename(folder_ / kIndexName, folder_ / "unet.safetensors.index.json");
  EXPECT_EQ(Checkpoint::open(folder_.path()).shards().size(), 2u);
  fs::copy_file(folder_ / "unet.safetensors.index.json", folder_ / "vae.safetensors.index.json");
  expect_refused("",
                 "holds 2 files like 'unet.safetensors.index.json' and no model.safetensors.index.json; "
                 "name the one to read");
}

TEST_F(TwoShards, MissingShardIsNamedBeforeAnyHeaderIsRead) {
  fs::remove(folder_ / kSecond);
  write_bytes(folder_ / kFirst, "broken");
  expect_refused(kIndexName, "names the shard 'model-00002-of-00002.safetensors', which is missing");
}

TEST_F(TwoShards, FolderInPlaceOfAShardIsRefused) {
  fs::remove(folder_ / kSecond);
  fs::create_directory(folder_ / kSecond);
  expect_refused(kIndexName, "names the shard 'model-00002-of-00002.safetensors', which is missing");
}

TEST_F(TwoShards, ExtraShardIsNamed) {
  write_bytes(folder_ / "model-00003-of-00003.safetensors", one_tensor_file("c", "C"));
  expect_refused(kIndexName,
                 "does not name the shard 'model-00003-of-00003.safetensors', which is in the folder");
}

TEST_F(TwoShards, FilesOfAnotherPatternAreNoExtraShards) {
  write_bytes(folder_ / "consolidated.safetensors", one_tensor_file("a", "C"));
  EXPECT_EQ(Checkpoint::open(folder_.path()).tensors().size(), 2u);
}

TEST_F(TwoShards, ShardOutsideTheFolderIsRefused) {
  write_index({{"a", kFirst}, {"b", "../x"}});
  expect_error<InputError>([&] { Checkpoint::open(folder_.path()); },
                           (folder_ / kIndexName).string() +
                               ": tensor 'b': its shard '../x' is not a plain file name inside the folder");
}

TEST_F(TwoShards, TensorThatNoShardHoldsIsRefused) {
  write_index({{"a", kFirst}, {"b", kSecond}, {"c", kSecond}});
  expect_refused(
      kIndexName,
      "tensor 'c': is placed in the shard 'model-00002-of-00002.safetensors', which does not hold it");
}

TEST_F(TwoShards, TensorInAnotherShardIsRefused) {
  write_index({{"a", kSecond}, {"b", kFirst}});
  expect_refused(kIndexName,
                 "tensor 'a': is placed in the shard 'model-00002-of-00002.safetensors', but is in "
                 "'model-00001-of-00002.safetensors'");
}

TEST_F(TwoShards, TensorThatTheIndexDoesNotKnowIsRefused) {
  write_bytes(
      folder_ / kSecond,
      safetensors_bytes(
          R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"c":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
          "BC"));
  expect_refused(
      kSecond, "tensor 'c': is in the shard, but not in the index '" + (folder_ / kIndexName).string() + "'");
}

TEST_F(TwoShards, TensorInTwoShardsIsRefused) {
  write_bytes(folder_ / kSecond, one_tensor_file("a", "BB"));
  expect_refused(kSecond, "tensor 'a': is in the shard 'model-00001-of-00002.safetensors' too");
}

TEST_F(TwoShards, BrokenShardIsNamed) {
  const std::string whole = read_bytes(folder_ / kSecond);
  write_bytes(folder_ / kSecond, whole.substr(0, whole.size() - 1));
  expect_refused(kSecond,
                 "tensor 'b': the file is cut short: data_offsets [0, 2], but it holds only 1 bytes of data");
}

TEST_F(TwoShards, BrokenIndexIsNamed) {
  write_bytes(folder_ / kIndexName, "{");
  expect_refused(kIndexName, "is not JSON: fault at byte 2");
}

// ---------------------------------------------------------------- files that change, many shards, threads

TEST(ChangedFile, ShorterThanItWas) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  const Checkpoint unread = Checkpoint::open(folder / "m");
  const Checkpoint in_use = Checkpoint::open(folder / "m");
  EXPECT_EQ(read(in_use, "a"), "xyz");
  const std::uint64_t size = fs::file_size(folder / "m");
  fs::resize_file(folder / "m", size - 1);
  expect_error<InputError>([&] { read(unread, "a"); },
                           (folder / "m").string() + ": file became shorter: it has " +
                               std::to_string(size - 1) + " bytes, expected " + std::to_string(size));
  expect_error<InputError>([&] { read(in_use, "a"); }, (folder / "m").string() +
                                                           ": file became shorter: it ends at byte " +
                                                           std::to_string(size - 1) + ", expected 1 more");
}

TEST(ChangedFile, ReplacedByOneOfTheSameSize) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  const Checkpoint checkpoint = Checkpoint::open(folder / "m");
  write_bytes(folder / "new", one_tensor_file("a", "XYZ"));
  fs::rename(folder / "new", folder / "m");
  expect_error<InputError>([&] { read(checkpoint, "a"); },
                           (folder / "m").string() + ": file was changed or replaced since it was opened");
}

TEST(ChangedFile, WrittenToInPlace) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  const Checkpoint checkpoint = Checkpoint::open(folder / "m");
  EXPECT_EQ(read(checkpoint, "a"), "xyz");
  fs::last_write_time(folder / "m", fs::last_write_time(folder / "m") + std::chrono::seconds(1));
  expect_error<InputError>([&] { read(checkpoint, "a"); },
                           (folder / "m").string() + ": file was changed or replaced since it was opened");
}

TEST(ChangedFile, RemovedBeforeTheFirstRead) {
  const TempFolder folder;
  write_bytes(folder / "m", one_tensor_file("a", "xyz"));
  const Checkpoint checkpoint = Checkpoint::open(folder / "m");
  fs::remove(folder / "m");
  expect_error<InputError>([&] { read(checkpoint, "a"); },
                           (folder / "m").string() + ": cannot open: No such file or directory");
}

// 100 shards, at most 64 open files, four threads that each read every tensor, from different ends.
TEST(ManyShards, NeedFewOpenFilesAndManyThreadsMayRead) {
  constexpr int kShards = 100;
  const TempFolder folder;
  std::string map;
  for (int i = 0; i < kShards; ++i) {
    const std::string number = std::to_string(i);
    write_bytes(folder / ("s" + number + ".safetensors"), one_tensor_file("t" + number, "data of " + number));
    map += (i > 0 ? ", " : "") + ("\"t" + number + "\": \"s" + number + ".safetensors\"");
  }
  write_bytes(folder / kIndexName, R"({"weight_map": {)" + map + "}}");
  const LoweredLimit limit(RLIMIT_NOFILE, 64);
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  ASSERT_EQ(checkpoint.shards().size(), std::size_t{kShards});
  std::vector<std::thread> threads;
  std::vector<int> right(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kShards; ++i) {
        const std::string number = std::to_string((i * 7 + t * 25) % kShards);
        if (read(checkpoint, "t" + number) == "data of " + number) ++right[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, std::vector<int>(4, kShards));
}

}  // namespace
}  // namespace afp
