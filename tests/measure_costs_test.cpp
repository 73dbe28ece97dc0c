// Costs measured over a checkpoint: those of really quantizing, whatever the memory and the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "afp/model_search.hpp"
#include "afp/quantize.hpp"
#include "expect_error.hpp"
#include "sample_checkpoint.hpp"

namespace afp {
namespace {

using sample::TensorData;

// F64 like sample::tensor.
TensorData f64_tensor(const std::string& name, const Shape& shape, std::uint64_t seed) {
  const sample::Weights weights =
      sample::make(DType::F32, sample::Family::gaussian, element_count(shape), seed);
  TensorData data{{name, DType::F64, shape}, std::vector<std::byte>(8 * weights.values.size())};
  for (std::size_t i = 0; i < weights.values.size(); ++i) {
    const double wide = static_cast<double>(weights.values[i]) * (1.0 + 0x1p-40);
    std::memcpy(data.bytes.data() + 8 * i, &wide, 8);
  }
  return data;
}

// The second half of b.weight, a piece of its own, is far smaller than the first.
TensorData two_pieces() {
  const Shape shape = {1100, 700};
  std::vector<float> values =
      sample::make(DType::F32, sample::Family::heavy_tails, element_count(shape), 5).values;
  for (std::size_t i = values.size() / 2; i < values.size(); ++i) values[i] /= 64.0f;
  return {{"b.weight", DType::F16, shape}, sample::weights_of(DType::F16, values).bytes};
}

std::vector<std::vector<TensorData>> sample_shards() {
  return {
      {sample::tensor("a.weight", DType::BF16, {96, 200}, 2), sample::tensor("norm", DType::BF16, {200}, 3),
       sample::tensor("conv.weight", DType::F32, {33, 5, 3, 3}, 4)},
      {two_pieces(), f64_tensor("d.weight", {17, 33}, 6),
       sample::tensor("lm_head.weight", DType::F32, {10, 33}, 6)}};
}

class MeasureCosts : public testing::Test {
 protected:
  void SetUp() override { sample::write_sharded(folder_ / "model", sample_shards()); }

  Checkpoint model() const { return Checkpoint::open(folder_ / "model"); }
  static CostRequest request(const std::string& candidates, int threads = 2) {
    CostRequest wanted;
    wanted.space = parse_candidates(candidates);
    wanted.run.threads = threads;
    return wanted;
  }
  static const TensorData& data(const std::string& name) {
    static const auto shards = sample_shards();
    for (const auto& shard : shards)
      for (const TensorData& tensor : shard)
        if (tensor.info.name == name) return tensor;
    throw std::runtime_error(name);
  }
  // An importance file with one vector a tensor.
  std::string importance_file(const std::vector<TensorData>& vectors) const {
    const std::filesystem::path path = folder_ / "importance.safetensors";
    sample::write_shard(path, vectors);
    return path.string();
  }
  static TensorData vector(const std::string& name, const std::vector<float>& values) {
    return {{name, DType::F32, {values.size()}}, sample::weights_of(DType::F32, values).bytes};
  }

  TempFolder folder_;
};

void expect_equal_tables(const CostTable& a, const CostTable& b) {
  EXPECT_EQ(to_json(a), to_json(b));
}

TEST_F(MeasureCosts, AreThoseOfQuantizingWithEachCandidate) {
  const CostTable table =
      measure_costs(model(), request("N=2|4|7,block=tensor|row|16|128,scale=e8m0|ue4m3")).table;
  const auto backend = make_cpu_backend(1);
  ASSERT_EQ(table.candidates.size(), 4u * (1 + 3 + 6) + 4u * 3);
  ASSERT_EQ(table.tensors.size(), 4u);
  for (const TensorCosts& row : table.tensors) {
    const TensorData& source = data(row.tensor.name);
    for (std::size_t c = 0; c < table.candidates.size(); ++c) {
      SCOPED_TRACE(row.tensor.name + " " + to_string(table.candidates[c]));
      const PackedTensor packed =
          quantize_tensor(*backend, source.info, source.bytes, {{table.candidates[c]}});
      ASSERT_TRUE(row.candidates[c]);
      EXPECT_EQ(row.candidates[c]->cost, packed.squared_error);
      EXPECT_EQ(row.candidates[c]->squared_error, packed.squared_error);
      EXPECT_NEAR(row.signal, packed.signal, 1e-6 * packed.signal);
    }
  }
}

TEST_F(MeasureCosts, DependOnNeitherThreadsNorMemory) {
  const std::string space = "N=3|4,block=tensor|row|32,scale=e8m0|ue4m3";
  const CostTable table = measure_costs(model(), request(space, 1)).table;
  for (const int threads : {2, 3})
    expect_equal_tables(measure_costs(model(), request(space, threads)).table, table);
  CostRequest small = request(space);
  small.run.memory_budget = 64 << 20;
  expect_equal_tables(measure_costs(model(), small).table, table);
}

TEST_F(MeasureCosts, FastEffortIsThatOfQuantizing) {
  CostRequest wanted = request("N=4,block=16");
  wanted.effort = Effort::fast;
  const CostTable table = measure_costs(model(), wanted).table;
  EXPECT_EQ(table.effort, "fast");
  const TensorData& source = data("b.weight");
  EXPECT_EQ(
      table.find("b.weight")->candidates[0]->cost,
      quantize_tensor(*make_cpu_backend(1), source.info, source.bytes, {{table.candidates[0]}}, Effort::fast)
          .squared_error);
}

TEST_F(MeasureCosts, RulesDecideWhatIsMeasured) {
  CostRequest wanted = request("N=3|4,block=32");
  wanted.rules = {Rule::parse("keep conv"), Rule::parse("set ^b=E2M3/row"),
                  Rule::parse("set lm_head=E1M2+E2M1/32")};
  const CostTable table = measure_costs(model(), wanted).table;
  EXPECT_EQ(table.find("conv.weight"), nullptr);
  EXPECT_EQ(table.find("norm"), nullptr);
  ASSERT_EQ(table.candidates.size(), 3u);  // E1M2+E2M1/32 is there already
  EXPECT_EQ(to_string(table.candidates[2]), "E2M3/row/e8m0");
  const auto measured = [&](const char* name) {
    std::string text;
    for (const auto& candidate : table.find(name)->candidates) text += candidate ? 'x' : '-';
    return text;
  };
  EXPECT_EQ(measured("a.weight"), "xx-");
  EXPECT_EQ(measured("b.weight"), "--x");
  EXPECT_EQ(measured("lm_head.weight"), "-x-");
}

TEST_F(MeasureCosts, ASampleStandsForTheWhole) {
  const std::string space = "N=3|5,block=16|row";
  const CostTable whole = measure_costs(model(), request(space)).table;
  CostRequest wanted = request(space, 1);
  wanted.sample = 4;
  const CostTable part = measure_costs(model(), wanted).table;
  EXPECT_EQ(part.sample, 4u);
  wanted.run.threads = 3;
  expect_equal_tables(measure_costs(model(), wanted).table, part);
  EXPECT_NEAR(part.find("b.weight")->signal, whole.find("b.weight")->signal,
              0.15 * whole.find("b.weight")->signal);
  for (std::size_t c = 0; c < whole.candidates.size(); ++c) {
    const double exact = whole.find("b.weight")->candidates[c]->cost;
    const double estimate = part.find("b.weight")->candidates[c]->cost;
    EXPECT_NE(estimate, exact);
    EXPECT_NEAR(estimate, exact, 0.15 * exact) << to_string(whole.candidates[c]);
  }
}

TEST_F(MeasureCosts, ImportanceWeighsEveryColumn) {
  std::vector<float> a_columns, conv_channels = {0.0f, 1.0f, 2.5f, 0.5f, 4.0f};
  for (int i = 0; i < 200; ++i) a_columns.push_back(static_cast<float>(i % 7) / 4.0f);
  CostRequest wanted = request("N=3|4,block=tensor|row|32,scale=e8m0|ue4m3");
  wanted.rules = {Rule::parse("only a.weight|conv")};
  wanted.importance = Importance::read(
      importance_file({vector("a.weight", a_columns), vector("conv.weight", conv_channels)}));
  const CostTable table = measure_costs(model(), wanted).table;
  EXPECT_TRUE(table.weighted);
  const auto backend = make_cpu_backend(1);
  for (const char* name : {"a.weight", "conv.weight"}) {
    const TensorData& source = data(name);
    const std::uint64_t columns = source.info.elements() / source.info.shape[0];
    const std::vector<float> weights = sample::make(source.info.dtype, sample::Family::heavy_tails,
                                                    source.info.elements(), name[0] == 'a' ? 2 : 4)
                                           .values;
    for (std::size_t c = 0; c < table.candidates.size(); ++c) {
      SCOPED_TRACE(std::string(name) + " " + to_string(table.candidates[c]));
      const PackedTensor packed =
          quantize_tensor(*backend, source.info, source.bytes, {{table.candidates[c]}});
      const std::vector<std::byte> restored = dequantize_tensor(*backend, packed, DType::F32);
      long double expected = 0.0;
      for (std::size_t i = 0; i < weights.size(); ++i) {
        float q;
        std::memcpy(&q, restored.data() + 4 * i, 4);
        const long double error = static_cast<long double>(weights[i]) - q;
        const std::size_t column = i % columns;
        expected += (name[0] == 'a' ? a_columns[column] : conv_channels[column / 9]) * error * error;
      }
      const CandidateCost cost = *table.find(name)->candidates[c];
      EXPECT_NEAR(cost.cost, static_cast<double>(expected), 1e-9 * cost.cost);
      EXPECT_EQ(cost.squared_error, packed.squared_error);
    }
  }
}

TEST_F(MeasureCosts, BadImportanceIsNamed) {
  CostRequest wanted = request("N=4,block=32");
  wanted.rules = {Rule::parse("only a.weight")};
  const auto measured_with = [&](const std::vector<TensorData>& vectors) {
    return [&, vectors] {
      wanted.importance = Importance::read(importance_file(vectors));
      measure_costs(model(), wanted);
    };
  };
  const std::string file = (folder_ / "importance.safetensors").string();
  const std::string of_a = file + ": tensor 'a.weight': ";
  std::vector<float> good(200, 1.0f), negative = good, nan = good;
  negative[7] = -0.5f;
  nan[199] = std::numeric_limits<float>::quiet_NaN();
  expect_error<InputError>(measured_with({vector("b.weight", good)}),
                           of_a + "has no importance for this tensor, which is to be quantized");
  expect_error<InputError>(measured_with({vector("a.weight", {1.0f, 2.0f})}),
                           of_a + "has 2 channels; expected 200 for shape [96, 200]");
  expect_error<InputError>(
      measured_with({vector("a.weight", negative)}),
      of_a + "channel 7 has the importance -0.500000; expected a finite number of 0 or more");
  expect_error<InputError>(
      measured_with({vector("a.weight", nan)}),
      of_a + "channel 199 has the importance nan; expected a finite number of 0 or more");
  expect_error<InputError>(measured_with({sample::tensor("a.weight", DType::F32, {96, 200}, 1)}),
                           of_a + "is F32 [96, 200]; an importance is a vector of F32, F16 or BF16");
  wanted.rules = {Rule::parse("only conv")};
  expect_error<InputError>(
      measured_with({vector("conv.weight", good)}),
      file + ": tensor 'conv.weight': has 200 channels; expected 5 or 45 for shape [33, 5, 3, 3]");
}

TEST_F(MeasureCosts, WhatDoesNotGoTogetherIsRefused) {
  CostRequest kl = request("N=4,block=32");
  kl.objective = Objective::kl;
  expect_error<UsageError>(
      [&] { measure_costs(model(), kl); },
      "the objective kl is defined for tensor blocks, not for E1M2+E2M1/32/ue4m3; give tensor "
      "blocks (block=tensor) or the objective mse");
  kl = request("N=4,block=tensor");
  kl.objective = Objective::kl_seed;
  kl.importance.emplace();
  kl.rules = {Rule::parse("only nothing|norm"), Rule::parse("keep norm")};
  expect_error<UsageError>(
      [&] { measure_costs(model(), kl); },
      "an importance weighs squared errors; it goes with the objective mse, not kl-seed");
  CostRequest both = request("N=4,block=32");
  both.importance.emplace();
  both.sample = 2;
  expect_error<UsageError>(
      [&] { measure_costs(model(), both); },
      "errors weighted by importance are measured of all blocks; a sample does not go with them");
  CostRequest whole = request("N=4,block=tensor");
  whole.sample = 2;
  EXPECT_EQ(measure_costs(model(), whole).table.sample, 1u);  // there was nothing to sample
  CostRequest none = request("N=4,block=32");
  none.sample = 0;
  expect_error<UsageError>([&] { measure_costs(model(), none); },
                           "a sample of one block in 0; expected 1 or more");
}

TEST_F(MeasureCosts, WeightsThatAreNotFiniteAreCounted) {
  std::vector<float> values(64, 0.5f);
  values[3] = std::numeric_limits<float>::infinity();
  values[60] = std::numeric_limits<float>::quiet_NaN();
  const std::filesystem::path path = folder_ / "bad.safetensors";
  sample::write_shard(path, {{{"w", DType::F32, {4, 16}}, sample::weights_of(DType::F32, values).bytes}});
  for (const char* space : {"N=4,block=16", "N=4,block=32,scale=e8m0", "N=4,block=tensor"})
    expect_error<InputError>([&] { measure_costs(Checkpoint::open(path), request(space)); },
                             path.string() +
                                 ": tensor 'w': has 2 NaN or infinite values; expected finite weights (a "
                                 "tensor that is kept may have "
                                 "them)");
}

TEST_F(MeasureCosts, StopsOnRequest) {
  const std::atomic<bool> stop = true;
  CostRequest wanted = request("N=4");
  wanted.run.stop = &stop;
  EXPECT_THROW(measure_costs(model(), wanted), Interrupted);
}

}  // namespace
}  // namespace afp
