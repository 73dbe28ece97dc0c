// The whole line over small checkpoints: what is written, that it does not depend on threads or memory, and
// how runs end early and go on.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "afp/quantize.hpp"
#include "expect_error.hpp"
#include "lowered_limit.hpp"
#include "sample_checkpoint.hpp"

namespace afp {
namespace {

using sample::contents;
using sample::TensorData;

// Three shards with what checkpoints have: odd shapes, vectors, embeddings, other dtypes, empty tensors.
std::vector<std::vector<TensorData>> sample_shards() {
  std::vector<TensorData> first = {sample::tensor("model.embed_tokens.weight", DType::BF16, {50, 40}, 1),
                                   sample::tensor("layers.0.q.weight", DType::BF16, {96, 200}, 2),
                                   sample::tensor("layers.0.norm.weight", DType::BF16, {200}, 3)};
  std::vector<TensorData> second = {
      sample::tensor("layers.1.conv.weight", DType::F32, {33, 5, 3, 3}, 4),
      sample::tensor("layers.1.q.weight", DType::F16, {700, 300}, 5),
      {{"layers.1.ids", DType::I64, {2, 2}}, std::vector<std::byte>(32, std::byte{1})},
      {{"layers.1.none.weight", DType::F32, {0, 4}}, {}}};
  std::vector<TensorData> third = {sample::tensor("lm_head.weight", DType::F32, {10, 33}, 6),
                                   sample::tensor("layers.2.q.weight", DType::F32, {128, 2048}, 7)};
  return {first, second, third};
}

class QuantizeCheckpoint : public testing::Test {
 protected:
  void SetUp() override { sample::write_sharded(source(), sample_shards()); }

  std::filesystem::path source() const { return folder_ / "source"; }
  std::filesystem::path output(const std::string& name) const { return folder_ / name; }
  QuantizeResult quantize(const std::string& name, const QuantizeOptions& options) const {
    return quantize_checkpoint(Checkpoint::open(source()), output(name), options);
  }
  static QuantizeOptions with(const std::string& encoding, int threads = 1) {
    QuantizeOptions options;
    if (!encoding.empty()) options.request.encoding = parse_encoding(encoding);
    options.run.threads = threads;
    return options;
  }

  TempFolder folder_;
};

TEST_F(QuantizeCheckpoint, WritesWhatTheTensorFunctionsGive) {
  const auto backend = make_cpu_backend(1);
  const QuantizeResult result = quantize("out", with(""));
  const PackedCheckpoint packed = PackedCheckpoint::open(output("out"));
  ASSERT_EQ(packed.entries().size(), 9u);
  std::size_t t = 0;
  for (const auto& shard : sample_shards()) {
    for (const TensorData& data : shard) {
      const PackedEntry& entry = packed.entries()[t];
      EXPECT_EQ(entry.source.name, data.info.name);
      EXPECT_EQ(result.tensors[t].encoding, entry.encoding);
      std::vector<std::byte> bytes(packed.checkpoint().tensors()[entry.data].bytes());
      packed.checkpoint().read(packed.checkpoint().tensors()[entry.data], 0, bytes);
      if (!entry.encoding) {
        EXPECT_EQ(bytes, data.bytes) << data.info.name;
      } else {
        const PackedTensor expected = quantize_tensor(*backend, data.info, data.bytes, {{*entry.encoding}});
        EXPECT_TRUE(std::ranges::equal(bytes, std::as_bytes(std::span(expected.codes)))) << data.info.name;
        EXPECT_EQ(entry.squared_error, expected.squared_error);
        EXPECT_EQ(entry.signal, expected.signal);
      }
      ++t;
    }
  }
  const auto kept = [&](const char* name) { return packed.find(name)->kept; };
  EXPECT_EQ(kept("layers.0.norm.weight"), "1-D");
  EXPECT_EQ(kept("layers.1.ids"), "dtype I64");
  EXPECT_EQ(kept("layers.1.none.weight"), "empty");
  EXPECT_NE(kept("model.embed_tokens.weight"), "");
  EXPECT_NE(kept("lm_head.weight"), "");
  EXPECT_TRUE(packed.find("layers.1.q.weight")->encoding);
  EXPECT_TRUE(verify_checkpoint(packed, nullptr, {}).problems.empty());
  const std::string config = read_bytes(output("out") / "config.json");
  EXPECT_NE(config.find("\"limit\": Infinity"), std::string::npos);
  EXPECT_NE(config.find("\"quant_method\": \"afp\""), std::string::npos);
  EXPECT_EQ(read_bytes(output("out") / "tokenizer.json"), "{}");
}

TEST_F(QuantizeCheckpoint, ThreadsAndMemoryDoNotChangeAByte) {
  for (const char* encoding : {"", "E2M1/32/e8m0", "E2M1/row", "E2M1/tensor", "E2M1/tensor/ue4m3"}) {
    std::map<std::string, std::string> first;
    for (const int threads : {1, 2, 3}) {
      for (const std::uint64_t budget : {std::uint64_t{64} << 20, std::uint64_t{512} << 20}) {
        QuantizeOptions options = with(encoding, threads);
        options.run.memory_budget = budget;
        options.force = true;
        quantize("out", options);
        if (first.empty()) first = contents(output("out"));
        EXPECT_EQ(contents(output("out")), first) << encoding << " " << threads << " " << budget;
      }
    }
  }
}

TEST_F(QuantizeCheckpoint, SearchesTheFormatWithTheSameResultAsNamingIt) {
  QuantizeOptions searched;
  searched.request = {4, {BlockKind::small, 32}, ScaleKind::e8m0, std::nullopt};
  const QuantizeResult result = quantize("searched", searched);
  for (const TensorResult& tensor : result.tensors) {
    if (!tensor.encoding) continue;
    const QuantizeResult named = quantize("named " + tensor.source.name, with(to_string(*tensor.encoding)));
    for (const TensorResult& other : named.tensors) {
      if (other.source.name != tensor.source.name) continue;
      EXPECT_EQ(other.squared_error, tensor.squared_error);
    }
    for (const Format format : formats_of(4)) {
      const Encoding encoding{format, std::nullopt, searched.request.block, ScaleKind::e8m0};
      QuantizeOptions options = with(to_string(encoding));
      options.dry_run = true;
      for (const TensorResult& other : quantize("none", options).tensors) {
        if (other.source.name == tensor.source.name) {
          EXPECT_GE(other.squared_error, tensor.squared_error);
        }
      }
    }
  }
}

TEST_F(QuantizeCheckpoint, ADryRunGivesTheResultAndWritesNothing) {
  QuantizeOptions options = with("");
  options.dry_run = true;
  const QuantizeResult dry = quantize("out", options);
  EXPECT_FALSE(std::filesystem::exists(output("out")));
  options.dry_run = false;
  const QuantizeResult real = quantize("out", options);
  ASSERT_EQ(dry.tensors.size(), real.tensors.size());
  for (std::size_t t = 0; t < dry.tensors.size(); ++t) {
    EXPECT_EQ(dry.tensors[t].squared_error, real.tensors[t].squared_error);
    EXPECT_EQ(dry.tensors[t].packed_bytes, real.tensors[t].packed_bytes);
  }
  const QuantizePlan plan = plan_quantization(Checkpoint::open(source()), options);
  for (std::size_t t = 0; t < dry.tensors.size(); ++t)
    EXPECT_EQ(plan.tensors[t].bytes, real.tensors[t].packed_bytes);
}

TEST_F(QuantizeCheckpoint, AStoppedRunGoesOnWhereItWas) {
  quantize("whole", with(""));
  std::atomic<bool> stop = true;
  QuantizeOptions options = with("");
  options.run.stop = &stop;
  EXPECT_THROW(quantize("out", options), Interrupted);
  EXPECT_THROW(PackedCheckpoint::open(output("out")), InputError);
  {
    // The third shard is larger than any file may be: the first two are finished and recorded.
    const LoweredLimit limit(RLIMIT_FSIZE, 140000);
    EXPECT_THROW(quantize("out", with("")), IoError);
  }
  EXPECT_THROW(PackedCheckpoint::open(output("out")), InputError);
  const QuantizeResult resumed = quantize("out", with(""));
  EXPECT_EQ(resumed.resumed_shards, 2u);
  EXPECT_EQ(contents(output("out")), contents(output("whole")));
}

TEST_F(QuantizeCheckpoint, AnotherRequestDoesNotTakeOverAnUnfinishedRun) {
  std::atomic<bool> stop = true;
  QuantizeOptions options = with("");
  options.run.stop = &stop;
  EXPECT_THROW(quantize("out", options), Interrupted);
  EXPECT_THROW(quantize("out", with("E2M1/32/e8m0")), UsageError);
  QuantizeOptions forced = with("E2M1/32/e8m0");
  forced.force = true;
  EXPECT_NO_THROW(quantize("out", forced));
  EXPECT_THROW(quantize("out", with("E2M1/32/e8m0")), UsageError);
}

TEST_F(QuantizeCheckpoint, ASingleFileNeedsNoFolder) {
  sample::write_shard(folder_ / "one.safetensors", sample_shards()[1]);
  const QuantizeResult result =
      quantize_checkpoint(Checkpoint::open(folder_ / "one.safetensors"), output("one"), with(""));
  EXPECT_EQ(result.shards, 1u);
  const auto files = contents(output("one"));
  EXPECT_EQ(files.size(), 2u);
  EXPECT_TRUE(files.contains("model.safetensors"));
  EXPECT_TRUE(files.contains("afp_manifest.json"));
  EXPECT_TRUE(verify_checkpoint(PackedCheckpoint::open(output("one")), nullptr, {}).problems.empty());
}

TEST_F(QuantizeCheckpoint, NonfiniteWeightsAreNamedAndCountedUnlessKept) {
  std::vector<float> values(3 * 70000, 1.0f);
  for (const std::size_t at : {5u, 66000u, 209999u}) values[at] = std::numeric_limits<float>::quiet_NaN();
  sample::write_shard(folder_ / "nan.safetensors", {{{"bad.weight", DType::F32, {3, 70000}},
                                                     sample::weights_of(DType::F32, values).bytes}});
  const Checkpoint input = Checkpoint::open(folder_ / "nan.safetensors");
  for (const char* encoding : {"", "E2M1/32/e8m0", "E2M1/row", "E2M1/tensor"})
    expect_error<InputError>(
        [&] { quantize_checkpoint(input, output("nan"), with(encoding)); },
        (folder_ / "nan.safetensors").string() +
            ": tensor 'bad.weight': has 3 NaN or infinite values; expected finite weights (a tensor "
            "that is kept may have them)");
  EXPECT_FALSE(std::filesystem::exists(output("nan")));
  QuantizeOptions kept = with("");
  kept.rules = {Rule::parse("keep bad")};
  EXPECT_NO_THROW(quantize_checkpoint(input, output("nan"), kept));
}

TEST_F(QuantizeCheckpoint, RefusesNamesThatItWouldWriteTwice) {
  sample::write_shard(folder_ / "two.safetensors", {sample::tensor("a.weight", DType::F32, {4, 4}, 1),
                                                    sample::tensor("a.weight_scale", DType::F32, {4}, 1)});
  expect_error<InputError>(
      [&] { quantize_checkpoint(Checkpoint::open(folder_ / "two.safetensors"), output("two"), with("")); },
      (folder_ / "two.safetensors").string() +
          ": tensor 'a.weight': quantizing it adds a tensor 'a.weight_scale', which exists already");
}

TEST_F(QuantizeCheckpoint, RefusesAPackedCheckpoint) {
  quantize("out", with(""));
  expect_error<InputError>(
      [&] { quantize_checkpoint(Checkpoint::open(output("out")), output("again"), with("")); },
      output("out").string() + ": is packed already; afp dequantize makes it plain again");
}

TEST_F(QuantizeCheckpoint, RefusesATooSmallMemoryBudget) {
  QuantizeOptions options = with("");
  options.run.memory_budget = 1 << 20;
  expect_error<UsageError>([&] { quantize("out", options); },
                           "a memory budget of 1048576 bytes is too small; expected at least 67108864");
}

TEST_F(QuantizeCheckpoint, ProgressEndsAtTheTotal) {
  Progress last;
  QuantizeOptions options = with("");
  options.run.progress = [&](const Progress& progress) {
    EXPECT_GE(progress.bytes_done, last.bytes_done);
    last = progress;
  };
  const QuantizeResult result = quantize("out", options);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
  EXPECT_EQ(last.bytes_total, result.source_bytes());
}

}  // namespace
}  // namespace afp
