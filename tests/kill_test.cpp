// A sharded run killed at random moments: what is left never looks complete, and the same command, run
// again, ends with the same bytes as a run that nobody disturbed.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "afp/error.hpp"
#include "afp/packed_checkpoint.hpp"
#include "program.hpp"
#include "sample_checkpoint.hpp"

namespace afp {
namespace {

bool opens(const std::filesystem::path& folder) {
  try {
    PackedCheckpoint::open(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(Kill, LeavesNothingThatLooksCompleteAndResumes) {
  const TempFolder folder;
  std::vector<std::vector<sample::TensorData>> shards;
  for (std::uint64_t s = 0; s < 6; ++s) {
    const std::string layer = "layers." + std::to_string(s);
    shards.push_back({sample::tensor(layer + ".up.weight", DType::BF16, {512, 768}, 2 * s),
                      sample::tensor(layer + ".down.weight", DType::BF16, {768, 512}, 2 * s + 1)});
  }
  sample::write_sharded(folder / "source", shards);
  const auto words = [&](const std::string& out) {
    return std::vector<std::string>{AFP_PROGRAM, "quantize", "source",    "-o",
                                    out,         "--quiet",  "--threads", "1"};
  };

  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(run_program(words("whole"), folder.path()).exit_code, 0);
  auto duration =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  const auto whole = sample::contents(folder / "whole");

  int killed = 0, resumed_after_kill = 0;
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (std::uint64_t round = 0; round < 20; ++round) {
    const std::string out = "out" + std::to_string(round);
    Finished finished;
    Program program(words(out), folder.path(), null, null);
    // Spread over the run, with a seed of its own: 20 moments, one in each twentieth.
    const double moment = (static_cast<double>(round) + sample::uniform(11, round)) / 20.0;
    std::this_thread::sleep_for(
        std::chrono::microseconds(static_cast<long>(moment * static_cast<double>(duration.count()))));
    ::kill(program.pid(), SIGKILL);
    program.ended(finished, true);
    if (finished.signal == SIGKILL) {
      ++killed;
      if (!opens(folder / out)) {  // else it was killed after its last step; the contents are compared below
        const Finished again = run_program(words(out), folder.path());
        EXPECT_EQ(again.exit_code, 0) << again.err;
        ++resumed_after_kill;
      }
    }
    if (finished.signal != SIGKILL) duration = duration * 3 / 4;  // the first run was slowed down by others
    auto found = sample::contents(folder / out);
    // Its notes on finished shards are the last to go, once the output is complete: some may be left.
    std::erase_if(found, [](const auto& file) { return file.first.starts_with(".afp-finished/"); });
    EXPECT_TRUE(found == whole) << "round " << round;
    std::filesystem::remove_all(folder / out);
  }
  ::close(null);
  EXPECT_GT(killed, 0);
  EXPECT_GT(resumed_after_kill, 0);
}

}  // namespace
}  // namespace afp
