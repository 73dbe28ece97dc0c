// The program `afp` from outside, in a folder with a small model.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "program.hpp"
#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"

namespace afp {

using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline std::vector<std::string> keys_of(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

struct F32Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::vector<float> values = {};  // empty: a fixed pseudo-random filling
};

inline std::string f32_file(const std::vector<F32Tensor>& tensors) {
  Json header;
  std::string data;
  std::mt19937 random(1);
  for (const F32Tensor& tensor : tensors) {
    std::uint64_t count = 1;
    for (const std::uint64_t size : tensor.shape) count *= size;
    std::vector<float> values = tensor.values;
    while (values.size() < count)
      values.push_back(static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 500.0f);
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_bytes(header.dump(), data);
}

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_ / "model");
    write_bytes(folder_ / "model/model.safetensors", f32_file({{"layers.0.weight", {32, 64}},
                                                               {"layers.1.weight", {16, 64}},
                                                               {"layers.0.norm", {64}},
                                                               {"lm_head.weight", {8, 64}}}));
    write_bytes(folder_ / "model/config.json", R"({"model_type": "test"})");
  }

  Finished afp(Words words) const {
    words.insert(words.begin(), AFP_PROGRAM);
    if (!environment_.empty()) {
      words.insert(words.begin(), environment_.begin(), environment_.end());
      words.insert(words.begin(), "env");
    }
    return run_program(words, folder_.path());
  }
  // The result of a command that is expected to work, silently but for stdout.
  Json afp_json(Words words) const {
    words.insert(words.end(), {"--json"});
    if (words[0] != "inspect") words.insert(words.end(), {"--progress", "none"});
    const Finished finished = afp(words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_EQ(finished.err, "");
    return Json::parse(finished.out);
  }
  void expect_failure(const Words& words, int exit_code, const std::string& message) const {
    const Finished finished = afp(words);
    EXPECT_EQ(finished.exit_code, exit_code);
    EXPECT_EQ(finished.err, "afp: " + message + "\n");
    EXPECT_EQ(finished.out, "");
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  void quantize_model() const { afp_json({"quantize", "model", "-o", "packed"}); }

  TempFolder folder_;
  Words environment_;  // NAME=VALUE, for the program
};

}  // namespace afp
