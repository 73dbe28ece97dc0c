// dequantize_checkpoint against values decoded one code at a time, in pieces of several sizes; resuming,
// stopping and refusing.
#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "expect_error.hpp"
#include "packed_folder.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

// The decoded weights as a file of `dtype` holds them.
std::string file_bytes(const ExampleTensor& tensor, DType dtype) {
  std::string bytes;
  const auto append = [&](const auto& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (const float weight : tensor.decoded) {
    switch (dtype) {
      case DType::BF16:
        append(float_to_bf16(weight));
        break;
      case DType::F16:
        append(float_to_f16(weight));
        break;
      case DType::F64:
        append(static_cast<double>(weight));
        break;
      default:
        append(weight);
        break;
    }
  }
  return bytes;
}

std::string read_tensor(const Checkpoint& checkpoint, const std::string& name) {
  const CheckpointTensor* tensor = checkpoint.find(name);
  if (tensor == nullptr) return "(absent)";
  std::string bytes(tensor->bytes(), '?');
  checkpoint.read(*tensor, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

class Dequantize : public testing::Test {
 protected:
  Dequantize() { example().write_packed(packed()); }

  fs::path packed() const { return folder_ / "packed"; }
  fs::path out() const { return folder_ / "out"; }
  DequantizeResult run(const DequantizeOptions& options = {}) const {
    return dequantize_checkpoint(PackedCheckpoint::open(packed()), out(), options);
  }
  void expect_output(std::optional<DType> dtype) const {
    const Checkpoint plain = Checkpoint::open(out());
    ASSERT_EQ(plain.tensors().size(), example().tensors.size());
    for (std::size_t i = 0; i < plain.tensors().size(); ++i) {
      const ExampleTensor& expected = example().tensors[i];
      const CheckpointTensor& tensor = plain.tensors()[i];
      const DType type = expected.packed && dtype ? *dtype : expected.info.dtype;
      EXPECT_EQ(tensor.name, expected.info.name);
      EXPECT_EQ(tensor.dtype, type) << tensor.name;
      EXPECT_EQ(tensor.shape, expected.info.shape) << tensor.name;
      EXPECT_EQ(tensor.shard, expected.shard) << tensor.name;
      const std::string bytes =
          expected.packed
              ? file_bytes(expected, type)
              : std::string(reinterpret_cast<const char*>(expected.bytes.data()), expected.bytes.size());
      EXPECT_TRUE(read_tensor(plain, tensor.name) == bytes) << tensor.name;
    }
    for (std::size_t shard = 0; shard < 2; ++shard) {
      EXPECT_EQ(plain.shards()[shard].file_name, ExampleCheckpoint::kShards[shard]);
      EXPECT_EQ(plain.shards()[shard].metadata, ExampleCheckpoint::kMetadata);
    }
    EXPECT_EQ(plain.other_files(), (std::vector<std::string>{"config.json", "tokenizer.json"}));
    EXPECT_EQ(read_bytes(out() / "config.json"), "{\n  \"a\": NaN\n}\n");
    EXPECT_EQ(read_bytes(out() / "tokenizer.json"), "tokens");
    EXPECT_FALSE(exists(out() / ".afp-partial"));
  }

  TempFolder folder_;
};

TEST_F(Dequantize, GivesTheValuesOfTheCodes) {
  const DequantizeResult result = run();
  expect_output(std::nullopt);
  EXPECT_EQ(result.tensors, 5u);
  std::uint64_t written = 0;
  for (const ExampleTensor& tensor : example().tensors) written += tensor.info.bytes();
  EXPECT_EQ(result.written_bytes, written);
}

TEST_F(Dequantize, ToEveryType) {
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32, DType::F64}) {
    SCOPED_TRACE(dtype_name(dtype));
    DequantizeOptions options;
    options.dtype = dtype;
    options.force = true;
    run(options);
    expect_output(dtype);
  }
  DequantizeOptions options;
  options.dtype = DType::I8;
  expect_error<UsageError>([&] { run(options); },
                           "weights cannot be written as I8; expected BF16, F16, F32 or F64");
}

// Many threads share a small budget as small pieces (one strip, or a part of a row of 70,000), few a large
// one as pieces that hold whole tensors.
TEST_F(Dequantize, PiecesMakeNoDifference) {
  for (const auto& [threads, budget] :
       {std::pair(40, 64 << 20), std::pair(2, 64 << 20), std::pair(1, 1 << 30)}) {
    DequantizeOptions options;
    options.force = true;
    options.run.threads = threads;
    options.run.memory_budget = static_cast<std::uint64_t>(budget);
    run(options);
    expect_output(std::nullopt);
  }
  DequantizeOptions options;
  options.run.memory_budget = 1 << 20;
  EXPECT_THROW(run(options), UsageError);
}

TEST_F(Dequantize, WithoutAConfigOrIndex) {
  fs::remove(packed() / "config.json");
  run();
  EXPECT_FALSE(exists(out() / "config.json"));
  EXPECT_FALSE(exists(out() / "afp_manifest.json"));
  EXPECT_EQ(Checkpoint::open(out()).tensors().size(), example().tensors.size());
}

TEST_F(Dequantize, StopsAndGoesOn) {
  std::atomic<bool> stop = true;
  DequantizeOptions options;
  options.run.stop = &stop;
  EXPECT_THROW(run(options), Interrupted);
  EXPECT_TRUE(exists(out() / ".afp-partial"));
  EXPECT_FALSE(exists(out() / "config.json"));
  expect_error<InputError>([&] { PackedCheckpoint::open(out()); },
                           out().string() +
                               ": is incomplete: the run that wrote it was interrupted; run the same "
                               "command again");
  stop = false;
  run(options);
  expect_output(std::nullopt);
}

TEST_F(Dequantize, AFinishedShardIsTakenOver) {
  // Interrupted by what stands in the second shard's way.
  ExampleCheckpoint broken = example();
  broken.tensor("c").packed->scales[0] = 255;
  broken.write_packed(packed());
  EXPECT_THROW(run(), InputError);
  const fs::path first = out() / ExampleCheckpoint::kShards[0];
  ASSERT_TRUE(exists(first));
  EXPECT_FALSE(exists(out() / ExampleCheckpoint::kShards[1]));
  const auto written = fs::last_write_time(first);
  // The same input again: still refused, and the first shard was not written again.
  EXPECT_THROW(run(), InputError);
  EXPECT_EQ(fs::last_write_time(first), written);
  // Another input: another job.
  example().write_packed(packed());
  EXPECT_THROW(run(), UsageError);
  DequantizeOptions options;
  options.force = true;
  run(options);
  expect_output(std::nullopt);
}

TEST_F(Dequantize, BadScalesAreNamed) {
  ExampleCheckpoint broken = example();
  broken.tensor("d").packed->scales[2] = 255;
  broken.write_packed(packed());
  const std::string file = (packed() / ExampleCheckpoint::kShards[1]).string();
  expect_error<InputError>([&] { run(); },
                           file + ": tensor 'd_scale': scale byte 255 of block 2 is no scale");
  broken = example();
  broken.tensor("t").packed->tensor_scale = -1.0f;
  broken.write_packed(packed());
  DequantizeOptions options;
  options.force = true;
  expect_error<InputError>(
      [&] { run(options); },
      file + ": tensor 't_scale_2': its scale is -1.000000, expected a positive finite number");
}

TEST_F(Dequantize, ReportsProgressToTheEnd) {
  Progress last;
  std::size_t calls = 0;
  DequantizeOptions options;
  options.run.progress = [&](const Progress& progress) {
    EXPECT_GE(progress.bytes_done, last.bytes_done);
    last = progress;
    ++calls;
  };
  const DequantizeResult result = run(options);
  EXPECT_GE(calls, 1u);
  EXPECT_EQ(last.bytes_total, result.packed_bytes);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
}

}  // namespace
}  // namespace afp
