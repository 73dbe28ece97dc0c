// The program `afp` with --backend cuda, from outside: the same files as the CPU's, what it says of devices,
// and what it leaves behind where one fails. The devices are emulated; CUDA_EMULATOR_... says which there
// are.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cli.hpp"

namespace afp {
namespace {

const Words kOnCuda = {"--backend", "cuda"}, kOnCpu = {"--backend", "cpu"};

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

class CliOnCuda : public Cli {
 protected:
  std::map<std::string, std::string> contents(const std::string& folder) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / folder))
      files[entry.path().filename()] = read_bytes(entry.path());
    return files;
  }
  // What two shards hold, the second of them larger.
  void make_sharded_model() const {
    std::filesystem::create_directory(folder_ / "sharded");
    write_bytes(folder_ / "sharded/model-00001-of-00002.safetensors", f32_file({{"a.weight", {8, 64}}}));
    write_bytes(folder_ / "sharded/model-00002-of-00002.safetensors",
                f32_file({{"b.weight", {64, 64}}, {"c.weight", {16, 48}}}));
    write_bytes(folder_ / "sharded/model.safetensors.index.json",
                R"({"metadata": {"total_size": 21504}, "weight_map": {
                      "a.weight": "model-00001-of-00002.safetensors",
                      "b.weight": "model-00002-of-00002.safetensors",
                      "c.weight": "model-00002-of-00002.safetensors"}})");
    write_bytes(folder_ / "sharded/config.json", R"({"model_type": "test"})");
  }
};

// Without what may differ.
Json comparable(Json json) {
  for (const char* key :
       {"seconds", "measure_seconds", "gb_per_s", "backend", "device", "peak_device_memory", "peak_memory"})
    json.erase(key);
  return json;
}

TEST_F(CliOnCuda, WritesTheFilesOfTheCpu) {
  int number = 0;
  for (const Words& options :
       {Words{}, Words{"--bits", "3", "--scale", "e8m0"}, Words{"--format", "E2M1/32/e8m0"},
        Words{"--format", "E3M2/row"}, Words{"--format", "E2M3/tensor"},
        Words{"--bits", "6", "--effort", "fast"}, Words{"--format", "E1M2/tensor/ue4m3"},
        Words{"--target-bpw", "4.6", "--candidates", "N=3..6,block=16|row"}}) {
    const std::string name = std::to_string(++number), cpu = "cpu" + name, cuda = "cuda" + name;
    const Json expected = afp_json(Words{"quantize", "model", "-o", cpu} + options + kOnCpu);
    const Json found = afp_json(Words{"quantize", "model", "-o", cuda} + options + kOnCuda);
    EXPECT_EQ(comparable(found), comparable(expected));
    EXPECT_EQ(contents(cuda), contents(cpu)) << name;
    EXPECT_EQ(found["backend"], "cuda");
    EXPECT_EQ(found["device"], "emulated");
    EXPECT_GT(found["peak_device_memory"].get<std::uint64_t>(), 0u);

    const Json plain_cpu = afp_json(Words{"dequantize", cpu, "-o", "plain_" + cpu} + kOnCpu);
    const Json plain_cuda = afp_json(Words{"dequantize", cpu, "-o", "plain_" + cuda} + kOnCuda);
    EXPECT_EQ(comparable(plain_cuda), comparable(plain_cpu));
    EXPECT_EQ(plain_cuda["backend"], "cuda");
    EXPECT_EQ(contents("plain_" + cuda), contents("plain_" + cpu)) << name;

    const Json verified = afp_json(Words{"verify", cpu, "--against", "model"} + kOnCuda);
    EXPECT_EQ(verified["ok"], true) << verified;
    EXPECT_EQ(verified["device"], "emulated");
    EXPECT_EQ(afp_json(Words{"inspect", cpu, "--stats"} + kOnCuda),
              afp_json(Words{"inspect", cpu, "--stats"} + kOnCpu));
  }
}

TEST_F(CliOnCuda, SearchesAsTheCpuDoes) {
  int number = 0;
  for (const Words& options :
       {Words{"--target-bpw", "4.5", "--candidates", "N=3..5"}, Words{"--bits", "4", "--scale", "e8m0"},
        Words{"--block", "tensor", "--objective", "kl", "--candidates", "N=3..5"},
        Words{"--block", "tensor", "--objective", "kl-seed", "--candidates", "N=3..5"},
        Words{"--sample", "1/4", "--block", "32"}, Words{"--preset", "iccv2021", "--only", "layers"}}) {
    const std::string plan = "plan" + std::to_string(++number) + ".json";
    const Json expected = afp_json(Words{"search", "model", "-o", "cpu_" + plan} + options + kOnCpu);
    const Json found = afp_json(Words{"search", "model", "-o", "cuda_" + plan} + options + kOnCuda);
    EXPECT_EQ(comparable(found), comparable(expected));
    EXPECT_EQ(read_bytes(folder_ / ("cuda_" + plan)), read_bytes(folder_ / ("cpu_" + plan)));
    EXPECT_EQ(found["backend"], "cuda");
    EXPECT_GT(found["peak_device_memory"].get<std::uint64_t>(), 0u);
  }
}

TEST_F(CliOnCuda, IsTakenUnlessSomethingElseIsAskedFor) {
  EXPECT_EQ(afp_json({"quantize", "model", "--dry-run"})["backend"], "cuda");
  EXPECT_EQ(afp_json({"quantize", "model", "--dry-run", "--backend", "auto"})["backend"], "cuda");
  EXPECT_EQ(afp_json({"quantize", "model", "--dry-run", "--backend", "cpu"})["backend"], "cpu");
  const Finished finished = afp({"quantize", "model", "-o", "packed", "--progress", "none"});
  EXPECT_EQ(finished.err, "");
  EXPECT_NE(finished.out.find("\n  backend     cuda, emulated, "), std::string::npos) << finished.out;
  for (const std::string& line : lines_of(finished.out)) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(CliOnCuda, SeveralDevicesWriteTheSame) {
  afp_json({"quantize", "model", "-o", "cpu", "--backend", "cpu"});
  environment_ = {"CUDA_EMULATOR_DEVICES=3"};
  for (const auto& [devices, named] :
       {std::pair("0", "emulated"), std::pair("2,0", "2 x emulated"), std::pair("all", "3 x emulated")}) {
    const Json json = afp_json({"quantize", "model", "-o", "cuda", "--force", "--device", devices});
    EXPECT_EQ(json["device"], named);
    EXPECT_EQ(contents("cuda"), contents("cpu")) << devices;
  }
  for (const Words& backend : {Words{}, kOnCuda})
    expect_failure(Words{"quantize", "model", "-o", "out", "--device", "1,3"} + backend, 2,
                   "there is no device 3: found 0 (emulated), 1 (emulated), 2 (emulated), expected 0 to 2");
  EXPECT_FALSE(exists("out"));
}

TEST_F(CliOnCuda, MachinesWithoutAUsableDevice) {
  for (const auto& [setting, why] :
       {std::pair("CUDA_EMULATOR_DEVICES=-1", "no NVIDIA driver found, expected one for CUDA "),
        std::pair("CUDA_EMULATOR_DEVICES=0", "no CUDA device found, expected one at least"),
        std::pair("CUDA_EMULATOR_CAPABILITY=7.5",
                  "device 0 (emulated) has compute capability 7.5, expected 8.0 or higher")}) {
    environment_ = {setting};
    const Finished refused = afp(Words{"quantize", "model", "-o", "out"} + kOnCuda);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(lines_of(refused.err).size(), 1u) << refused.err;
    EXPECT_TRUE(refused.err.starts_with(std::string("afp: the CUDA backend cannot be used: ") + why))
        << refused.err;
    EXPECT_FALSE(exists("out"));

    const Finished fallback = afp({"quantize", "model", "--dry-run", "--verbose", "--progress", "none"});
    EXPECT_EQ(fallback.exit_code, 0);
    EXPECT_EQ(fallback.err, "");
    EXPECT_NE(fallback.out.find(std::string("backend     cpu, because ") + why), std::string::npos)
        << fallback.out;
  }
}

// Wherever a device fails, what is there goes on to the same bytes on the CPU.
TEST_F(CliOnCuda, ADeviceThatFailsLeavesWhatTheCpuGoesOnFrom) {
  make_sharded_model();
  afp_json(Words{"quantize", "sharded", "-o", "whole"} + kOnCpu);
  const auto expected = contents("whole");
  int failures = 0, resumed = 0;
  for (const char* fault : {"LAUNCH", "COPY", "SYNCHRONIZE", "ALLOCATION"}) {
    for (const int call : {1, 2, 3, 5, 8, 12, 20}) {
      const std::string output = std::string(fault) + std::to_string(call);
      environment_ = {std::string("CUDA_EMULATOR_FAIL_") + fault + "=" + std::to_string(call) +
                      (std::string(fault) == "ALLOCATION" ? "+" : "")};
      const Finished finished =
          afp(Words{"quantize", "sharded", "-o", output, "--threads", "1", "--progress", "none", "--quiet"} +
              kOnCuda);
      environment_ = {};
      if (finished.exit_code == 0) {
        EXPECT_EQ(contents(output), expected) << output;
        continue;
      }
      ++failures;
      EXPECT_EQ(finished.exit_code, 1) << output;
      EXPECT_EQ(finished.out, "");
      EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
      EXPECT_NE(finished.err.find("cudaError"), std::string::npos) << finished.err;
      EXPECT_FALSE(exists(output + "/config.json")) << output;
      const Json json = afp_json(Words{"quantize", "sharded", "-o", output} + kOnCpu);
      resumed += json["resumed_shards"] == 1;
      EXPECT_EQ(contents(output), expected) << output;
    }
  }
  EXPECT_GT(failures, 4);
  EXPECT_GT(resumed, 0);  // some fail in the second shard
}

}  // namespace
}  // namespace afp
