// The output transaction: what it refuses, what it takes over, and every state that a kill can leave.
#include "host/checkpoint/output_folder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/shard_writer.hpp"
#if defined(__x86_64__)
#include "killed_at.hpp"
#endif
#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

// Thousands of files are brought to the disk below, which takes no time where the disk is memory.
const int kInMemory = fs::is_directory("/dev/shm") ? ::setenv("TMPDIR", "/dev/shm", 0) : 0;

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    files[name] = entry.is_directory() ? "(folder)" : read_bytes(entry.path());
  }
  return files;
}

class Output : public testing::Test {
 protected:
  Output() {
    fs::create_directory(folder_ / "src");
    write_bytes(folder_ / "src/model.safetensors", one_tensor_file("a", "AAA"));
    write_bytes(folder_ / "src/config.json", "{}");
    write_bytes(folder_ / "src/tokenizer.json", "tokens");
    write_bytes(folder_ / "src/afp_manifest.json", "not to be copied");
    write_bytes(folder_ / "src/large.txt", std::string(3 << 20, 'x') + "end");
  }

  fs::path out() const { return folder_ / "out"; }
  Checkpoint source() const { return Checkpoint::open(folder_ / "src"); }
  OutputFolder open(const std::string& job = "job", bool force = false) const {
    return OutputFolder(out(), source(), job, force);
  }
  void refused(const std::string& message, const std::string& job = "job", bool force = false) const {
    expect_error<UsageError>([&] { open(job, force); }, out().string() + ": " + message);
  }
  static void make_shard(OutputFolder& output, const std::string& name) {
    ShardWriter writer(output.file(name), {{name, DType::U8, {name.size()}}}, {});
    writer.write(0, 0, bytes_of(name));
    writer.commit();
    output.shard_finished(name, "record of " + name);
  }

  TempFolder folder_;
};

TEST_F(Output, BecomesCompleteWithNothingLeftOver) {
  OutputFolder output = open();
  EXPECT_EQ(output.finished_shard("s1"), std::nullopt);
  make_shard(output, "s1");
  EXPECT_EQ(output.finished_shard("s1"), "record of s1");
  output.copy_other_files(source());
  output.write(kManifestFile, "m");
  output.commit("config.json", "c");
  const auto files = contents(out());
  ASSERT_EQ(files.size(), 5u);
  EXPECT_EQ(files.at("tokenizer.json"), "tokens");
  EXPECT_EQ(files.at("large.txt"), std::string(3 << 20, 'x') + "end");
  EXPECT_EQ(files.at("config.json"), "c");
  EXPECT_EQ(files.at(kManifestFile), "m");
  EXPECT_TRUE(files.contains("s1"));
}

TEST_F(Output, MakesTheFoldersAboveIt) {
  OutputFolder(folder_ / "x/y/z/", source(), "job", false).commit();
  EXPECT_TRUE(fs::is_directory(folder_ / "x/y/z"));
  EXPECT_TRUE(fs::is_empty(folder_ / "x/y/z"));
}

TEST_F(Output, RefusesWhatItMustNotTouch) {
  fs::create_directory(out());
  write_bytes(out() / "thesis.txt", "all of it");
  refused("is not empty (holds 'thesis.txt'); use --force to remove what it holds");
  write_bytes(out() / kManifestFile, "m");
  refused("already complete; use --force to replace it");
  EXPECT_EQ(read_bytes(out() / "thesis.txt"), "all of it");
  fs::remove_all(out());
  write_bytes(out(), "file");
  refused("is a file, expected a folder");
  expect_error<UsageError>([&] { OutputFolder("", source(), "job", false); },
                           "the name of the output folder is empty");
}

TEST_F(Output, RefusesDangerousFoldersEvenWithForce) {
  const auto refuses = [&](const fs::path& path, const std::string& what) {
    expect_error<UsageError>([&] { OutputFolder(path, source(), "job", true); },
                             path.string() + ": " + what + "; name another folder for the output");
  };
  refuses(folder_ / "src", "is the folder that is read");
  refuses(folder_ / "src/../src/.", "is the folder that is read");
  refuses(folder_.path(), "holds the folder that is read");
  fs::create_directory_symlink(folder_ / "src", folder_ / "link");
  refuses(folder_ / "link", "is the folder that is read");
  refuses("/", "holds the folder that is read");
  fs::create_directories(folder_ / "home/me");
  const char* before = std::getenv("HOME");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("HOME", (folder_ / "home/me").c_str(), 1);
  refuses(folder_ / "home/me", "holds the home folder");
  refuses(folder_ / "home", "holds the home folder");
  EXPECT_NO_THROW(OutputFolder(folder_ / "home/me/out", source(), "job", true));
  before == nullptr ? ::unsetenv("HOME") : ::setenv("HOME", kept.c_str(), 1);
  EXPECT_NO_THROW(OutputFolder(folder_ / "src/out", source(), "job", false));
  EXPECT_EQ(read_bytes(folder_ / "src/tokenizer.json"), "tokens");
}

TEST_F(Output, ForceEmptiesTheFolderAndNothingElse) {
  fs::create_directories(out() / "deep/er");
  write_bytes(out() / "deep/er/x", "x");
  write_bytes(out() / "config.json", "old");
  fs::create_directory_symlink(folder_ / "src", out() / "link");
  open("job", true).commit("config.json", "new");
  EXPECT_EQ(contents(out()), (std::map<std::string, std::string>{{"config.json", "new"}}));
  EXPECT_EQ(read_bytes(folder_ / "src/tokenizer.json"), "tokens");
}

TEST_F(Output, AnotherJobsRunIsLeftAlone) {
  {
    OutputFolder output = open("job A");
    make_shard(output, "s1");
  }
  const auto before = contents(out());
  refused(
      "holds an unfinished run of another command or input; run that one again to finish it, or use --force "
      "to begin "
      "anew",
      "job B");
  EXPECT_EQ(contents(out()), before);
  EXPECT_EQ(open("job A").finished_shard("s1"), "record of s1");
  EXPECT_EQ(open("job A", true).finished_shard("s1"), "record of s1")
      << "--force starts no finished work anew";
  EXPECT_EQ(open("job B", true).finished_shard("s1"), std::nullopt);
  EXPECT_FALSE(exists(out() / "s1"));
}

TEST_F(Output, TwoRunsAtOnceAreRefused) {
  const OutputFolder first = open();
  refused("another run is writing to this folder");
  refused("another run is writing to this folder", "job", true);
}

TEST_F(Output, LeftoversOfAKilledRunAreRemoved) {
  { OutputFolder output = open(); }
  write_bytes(out() / "s1.tmp", "half a shard");
  write_bytes(out() / ".afp-partial/shard-s1.json.tmp", "half a record");
  { OutputFolder output = open(); }
  EXPECT_FALSE(exists(out() / "s1.tmp"));
  EXPECT_FALSE(exists(out() / ".afp-partial/shard-s1.json.tmp"));
}

TEST_F(Output, ADamagedShardOrRecordIsNotTakenOver) {
  OutputFolder output = open();
  make_shard(output, "s1");
  make_shard(output, "s2");
  const std::string shard = read_bytes(out() / "s1");
  const fs::path record_path = out() / ".afp-partial/shard-s1.json";
  const std::string record = read_bytes(record_path);
  const auto damaged = [&](const fs::path& path, const std::string& bytes) {
    write_bytes(path, bytes);
    EXPECT_EQ(output.finished_shard("s1"), std::nullopt) << bytes;
  };
  damaged(out() / "s1", shard.substr(0, shard.size() - 1));
  damaged(out() / "s1", "");
  damaged(out() / "s1", shard + "x");
  damaged(out() / "s1", read_bytes(out() / "s2"));
  fs::remove(out() / "s1");
  EXPECT_EQ(output.finished_shard("s1"), std::nullopt);
  write_bytes(out() / "s1", shard);
  EXPECT_EQ(output.finished_shard("s1"), "record of s1");
  damaged(record_path, record.substr(0, 30));
  damaged(record_path, "{}");
  damaged(record_path, read_bytes(out() / ".afp-partial/shard-s2.json"));
  fs::remove(record_path);
  EXPECT_EQ(output.finished_shard("s1"), std::nullopt);
  EXPECT_EQ(output.finished_shard("s2"), "record of s2");
}

TEST_F(Output, AShardMayHaveTheNameOfTheJob) {
  OutputFolder output = open();
  make_shard(output, "job.json");
  make_shard(output, "job");
  EXPECT_EQ(output.finished_shard("job"), "record of job");
  EXPECT_EQ(output.finished_shard("job.json"), "record of job.json");
}

#if defined(__x86_64__)
class KilledOutput : public Output {
 protected:
  // A run of two shards as quantize_checkpoint does it; returns the shards that it made itself.
  std::set<std::string> run(bool with_config, bool force = false) const {
    std::set<std::string> made;
    const Checkpoint input = source();
    OutputFolder output(out(), input, "job", force);
    for (const std::string name : {"s1", "s2"}) {
      if (output.finished_shard(name)) continue;
      make_shard(output, name);
      made.insert(name);
    }
    output.copy_other_files(input);
    if (with_config) {
      output.write(kManifestFile, "m");
      output.commit("config.json", "c");
    } else {
      output.commit(kManifestFile, "m");
    }
    return made;
  }

  bool looks_complete(bool with_config) const {
    return exists(out() / (with_config ? "config.json" : kManifestFile)) && !exists(out() / ".afp-partial");
  }

  // Kills run() at each of its calls in turn and finishes it by another one.
  void try_every_kill(bool with_config, bool force, const std::function<void()>& prepare) {
    fs::remove(folder_ / "src/large.txt");
    prepare();
    run(with_config, force);
    const auto expected = contents(out());
    int call = 1;
    for (; call < 1000; ++call) {
      SCOPED_TRACE("killed at call " + std::to_string(call));
      fs::remove_all(out());
      prepare();
      if (finishes_before_call(call, [&] { run(with_config, force); })) break;
      std::set<std::string> recorded;
      for (const std::string name : {"s1", "s2"})
        if (exists(out() / ".afp-partial" / ("shard-" + name + ".json"))) recorded.insert(name);
      if (looks_complete(with_config)) {
        auto visible = contents(out());
        std::erase_if(visible, [](const auto& file) { return file.first.starts_with(".afp-finished"); });
        const bool older =
            std::all_of(visible.begin(), visible.end(), [](const auto& f) { return f.second == "old"; });
        if (older) {
          EXPECT_EQ(visible.size(), 6u) << "a part of the older output looks complete";
          run(with_config, force);
        }
        EXPECT_EQ(older ? contents(out()) : visible, expected);
        if (!force) refused("already complete; use --force to replace it");
        continue;
      }
      const std::set<std::string> made = run(with_config, force);
      for (const std::string& name : recorded) EXPECT_FALSE(made.contains(name)) << name << " was made twice";
      EXPECT_EQ(contents(out()), expected);
    }
    EXPECT_GT(call, 40) << "too few calls were seen";
    EXPECT_LT(call, 1000);
  }
};

TEST_F(KilledOutput, WithAConfigAtEveryCall) {
  try_every_kill(true, false, [] {});
}

TEST_F(KilledOutput, WithoutAConfigAtEveryCall) {
  try_every_kill(false, false, [] {});
}

TEST_F(KilledOutput, OverAnOlderOutputAtEveryCall) {
  try_every_kill(true, true, [&] {
    fs::create_directory(out());
    for (const char* name : {"README", "config.json", kManifestFile, "s1", "s2", "z"})
      write_bytes(out() / name, "old");
  });
}
#endif

}  // namespace
}  // namespace afp
