// The search over a checkpoint: budgets are kept, predictions come true to the byte, and what does not fit is
// named.
#include "afp/model_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "afp/quantize.hpp"
#include "expect_error.hpp"
#include "host/core/name_pattern.hpp"
#include "sample_checkpoint.hpp"

namespace afp {
namespace {

using sample::TensorData;

TensorData scaled(const std::string& name, DType dtype, const Shape& shape, std::uint64_t seed,
                  float factor) {
  std::vector<float> values =
      sample::make(DType::F32, sample::Family::heavy_tails, element_count(shape), seed).values;
  for (float& value : values) value *= factor;
  return {{name, dtype, shape}, sample::weights_of(dtype, values).bytes};
}

// Tensors of very different importance; layers 0 and 2 hold the same up-projection.
std::vector<std::vector<TensorData>> sample_shards() {
  return {{scaled("embed.weight", DType::BF16, {40, 64}, 1, 1.0f),
           scaled("layers.0.up.weight", DType::BF16, {64, 96}, 2, 1.0f),
           scaled("layers.0.down.weight", DType::BF16, {96, 64}, 3, 0.25f),
           scaled("layers.0.norm", DType::F32, {64}, 4, 1.0f)},
          {scaled("layers.1.up.weight", DType::F32, {64, 100}, 5, 4.0f),
           scaled("layers.1.down.weight", DType::F16, {96, 33}, 6, 1.0f),
           scaled("layers.2.up.weight", DType::BF16, {64, 96}, 2, 1.0f),
           scaled("lm_head.weight", DType::BF16, {40, 64}, 7, 1.0f)}};
}

class ModelSearch : public testing::Test {
 protected:
  void SetUp() override { sample::write_sharded(folder_ / "model", sample_shards()); }

  Checkpoint model() const { return Checkpoint::open(folder_ / "model"); }
  CostTable costs(const std::string& candidates, const std::vector<Rule>& rules = {},
                  Effort effort = Effort::exact) const {
    CostRequest request;
    request.space = parse_candidates(candidates);
    request.rules = rules;
    request.effort = effort;
    return measure_costs(model(), request).table;
  }
  static ModelSearchOptions with_bpw(double bpw) {
    ModelSearchOptions options;
    options.target_bpw = bpw;
    return options;
  }
  static const PlanEntry& entry(const ModelSearchResult& result, std::string_view name) {
    return *result.plan.find(name);
  }

  TempFolder folder_;
};

std::uint64_t weight_file_bytes(const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".safetensors") bytes += file.file_size();
  return bytes;
}

TEST_F(ModelSearch, WhatIsPredictedIsWhatIsWritten) {
  struct Case {
    const char *name, *candidates;
    double bpw;
    std::vector<Rule> rules;
    Effort effort = Effort::exact;
  };
  const Case cases[] = {
      {"mixed", "N=2..6,block=16", 4.25, {}},
      {"fast", "N=2..6,block=32", 4.0, {}, Effort::fast},
      {"blocks", "N=2..5,block=tensor|row|64,scale=e8m0|ue4m3,keep", 3.7, {}},
      {"pinned",
       "N=3..5,block=32,scale=e8m0",
       5.0,
       {Rule::parse("set lm_head=E3M2/row"), Rule::parse("keep down")}},
      {"kept", "N=7|8,block=16,keep", 15.0, {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const CostTable table = costs(c.candidates, c.rules, c.effort);
    ModelSearchOptions options = with_bpw(c.bpw);
    options.rules = c.rules;
    options.keep = parse_candidates(c.candidates).keep;
    const ModelSearchResult predicted = search_model(model(), table, options);
    EXPECT_LE(predicted.bpw(), c.bpw);

    QuantizeOptions quantize;
    quantize.plan = parse_plan(to_json(predicted.plan), "plan");  // as from a file
    quantize.effort = predicted.plan.effort == "fast" ? Effort::fast : Effort::exact;
    check_plan(*quantize.plan, model(), "plan");
    const std::filesystem::path output = folder_ / c.name;
    const QuantizeResult written = quantize_checkpoint(model(), output, quantize);
    EXPECT_EQ(written.packed_bytes(), predicted.packed_bytes);
    EXPECT_EQ(weight_file_bytes(output), predicted.file_bytes);
    ASSERT_EQ(written.tensors.size(), predicted.plan.tensors.size());
    for (std::size_t t = 0; t < written.tensors.size(); ++t) {
      EXPECT_EQ(written.tensors[t].packed_bytes, predicted.plan.tensors[t].bytes);
      EXPECT_EQ(written.tensors[t].squared_error, predicted.plan.tensors[t].squared_error.value_or(0.0));
    }
    const Checkpoint source = model();
    const VerifyResult verified = verify_checkpoint(PackedCheckpoint::open(output), &source, {});
    EXPECT_TRUE(verified.problems.empty());
    double error = 0.0;
    for (const TensorResult& tensor : verified.errors) error += tensor.squared_error;
    EXPECT_NEAR(predicted.squared_error, error, 1e-6 * error);
  }
}

TEST_F(ModelSearch, ASizeIsThatOfTheFiles) {
  const CostTable table = costs("N=2..8,block=16");
  ModelSearchOptions options;
  std::uint64_t least = 0;
  try {
    options.target_size = 1000;
    search_model(model(), table, options);
  } catch (const UsageError& error) {
    const std::string text = error.what();
    const std::string begin =
        "a target of 1000 bytes is below what the candidates allow; the weight files take at least ";
    ASSERT_TRUE(text.starts_with(begin)) << text;
    least = std::stoull(text.substr(begin.size()));
  }
  for (const std::uint64_t target : {least, least + 1, least + 777, least + 5000, 2 * least}) {
    options.target_size = target;
    const ModelSearchResult result = search_model(model(), table, options);
    EXPECT_LE(result.file_bytes, target);
    EXPECT_GE(static_cast<double>(result.file_bytes), 0.97 * static_cast<double>(std::min(target, 30000ul)));
    QuantizeOptions quantize;
    quantize.plan = result.plan;
    const std::filesystem::path output = folder_ / ("out" + std::to_string(target));
    quantize_checkpoint(model(), output, quantize);
    EXPECT_EQ(weight_file_bytes(output), result.file_bytes);
  }
}

// Headers grow with the sizes that stand in them: every target holds for the files as a whole.
TEST_F(ModelSearch, NoSizeIsExceeded) {
  const CostTable table = costs("N=2..8,block=16|32|64|128,scale=e8m0|ue4m3");
  ModelSearchOptions options;
  std::uint64_t closest = ~std::uint64_t{0};
  for (std::uint64_t target = 26000; target < 44000; target += 61) {
    options.target_size = target;
    const ModelSearchResult result = search_model(model(), table, options);
    ASSERT_LE(result.file_bytes, target);
    closest = std::min(closest, target - result.file_bytes);
  }
  EXPECT_LT(closest, 8u);
}

TEST_F(ModelSearch, ARulePinsWhateverTheTableOffers) {
  const CostTable table = costs("N=2..6,block=32");
  ModelSearchOptions options = with_bpw(5.0);
  options.rules = {Rule::parse("set layers.1.up=E1M1+E2M0/32"),
                   Rule::parse("set layers.1.down=E1M4+E2M3/32")};
  options.keep = true;
  const ModelSearchResult result = search_model(model(), table, options);
  EXPECT_EQ(to_string(*entry(result, "layers.1.up.weight").encoding), "E1M1+E2M0/32/ue4m3");
  EXPECT_EQ(to_string(*entry(result, "layers.1.down.weight").encoding), "E1M4+E2M3/32/ue4m3");
}

TEST_F(ModelSearch, NoBudgetIsTheLeastCostOfEveryTensor) {
  const CostTable table = costs("N=4,block=tensor|row");
  const ModelSearchResult result = search_model(model(), table, {});
  for (const TensorCosts& row : table.tensors) {
    double least = row.candidates[0]->cost;
    for (const auto& candidate : row.candidates) least = std::min(least, candidate->cost);
    EXPECT_EQ(entry(result, row.tensor.name).cost, least);
  }
  EXPECT_EQ(result.search.gap, 0.0);
}

// All assignments of a model of five rows.
TEST_F(ModelSearch, TheSmallestOfAnSqnrIsTheSmallest) {
  const CostTable table = costs("N=3..6,block=32");
  ModelSearchOptions options;
  const std::vector<std::string> names = {"layers.0.up.weight", "layers.0.down.weight", "layers.1.up.weight",
                                          "layers.1.down.weight"};  // layer 2 is tied to layer 0
  for (const double target : {14.0, 18.5, 22.0, 27.0}) {
    options.target_sqnr = target;
    const ModelSearchResult result = search_model(model(), table, options);
    EXPECT_TRUE(result.minimizes_size);
    EXPECT_GE(result.sqnr_db(), target - 1e-9);
    std::uint64_t least = ~std::uint64_t{0};
    for (int code = 0; code < 256; ++code) {
      double error = 0.0;
      std::uint64_t bytes = 0;
      for (std::size_t n = 0; n < names.size(); ++n) {
        const auto column = static_cast<std::size_t>(code >> (2 * n) & 3);
        const TensorCosts& row = *table.find(names[n]);
        const double times = n == 0 ? 2.0 : 1.0;
        error += times * row.candidates[column]->squared_error;
        bytes += static_cast<std::uint64_t>(times) * packed_size(table.candidates[column], row.tensor.shape);
      }
      if (10.0 * std::log10(result.signal / error) >= target) least = std::min(least, bytes);
    }
    EXPECT_EQ(result.selected_bytes, least) << target;
  }
}

TEST_F(ModelSearch, TargetsOutOfReachSayWhatIsWithin) {
  const CostTable table = costs("N=3..5,block=32");
  expect_error<UsageError>(
      [&] { search_model(model(), table, with_bpw(3.0)); },
      "a target of 3.0000 bpw is below what the candidates allow; the least possible is ", Message::part);
  // What it says is possible, and hardly less is not.
  std::string least;
  try {
    search_model(model(), table, with_bpw(1.0));
  } catch (const UsageError& error) {
    const std::string text = error.what();
    least = text.substr(text.rfind("is ") + 3);
    least = least.substr(0, least.find(' '));
  }
  EXPECT_NO_THROW(search_model(model(), table, with_bpw(std::stod(least))));
  EXPECT_THROW(search_model(model(), table, with_bpw(std::stod(least) - 0.0002)), UsageError);
  ModelSearchOptions options;
  options.target_sqnr = 90.0;
  expect_error<UsageError>([&] { search_model(model(), table, options); },
                           "a target of 90.000 dB is above what the candidates reach; the best possible is ",
                           Message::part);
  options.target_bpw = 4.0;
  expect_error<UsageError>([&] { search_model(model(), table, options); },
                           "more than one target; expected one of bpw, size and SQNR");
  EXPECT_THROW(search_model(model(), table, with_bpw(-1.0)), UsageError);
  EXPECT_THROW(search_model(model(), table, with_bpw(std::nan(""))), UsageError);
}

TEST_F(ModelSearch, EqualDataIsTied) {
  const CostTable table = costs("N=2..6,block=32");
  EXPECT_EQ(table.find("layers.0.up.weight")->digest, table.find("layers.2.up.weight")->digest);
  for (double bpw = 3.0; bpw < 6.0; bpw += 0.1) {
    const ModelSearchResult result = search_model(model(), table, with_bpw(bpw));
    EXPECT_EQ(entry(result, "layers.0.up.weight").encoding, entry(result, "layers.2.up.weight").encoding);
    EXPECT_EQ(result.groups.size(), 4u);
  }
}

TEST_F(ModelSearch, PatternsTieByWhatTheyCapture) {
  const CostTable table = costs("N=2..6,block=32");
  ModelSearchOptions options = with_bpw(3.9);
  options.ties = {R"(layers\.[0-9]+\.(.*))"};
  const ModelSearchResult kinds = search_model(model(), table, options);
  EXPECT_EQ(kinds.groups, (std::vector<std::string>{"layers.0.up.weight", "layers.0.down.weight"}));
  EXPECT_EQ(entry(kinds, "layers.0.down.weight").encoding, entry(kinds, "layers.1.down.weight").encoding);
  EXPECT_EQ(entry(kinds, "layers.0.up.weight").encoding, entry(kinds, "layers.1.up.weight").encoding);

  options.ties = {"layers"};
  EXPECT_EQ(search_model(model(), table, options).groups.size(), 1u);
  options.ties = {R"(layers\.([0-9]+))"};  // layer by layer; 0 and 2 by their equal data
  EXPECT_EQ(search_model(model(), table, options).groups.size(), 2u);
  options.ties = {"layer9"};
  expect_error<UsageError>(
      [&] { search_model(model(), table, options); },
      "tie 'layer9' matches no selected tensor; the nearest name is 'layers.0.up.weight'");
  options.ties = {"("};
  EXPECT_THROW(search_model(model(), table, options), UsageError);
}

TEST(TiePattern, TellsWhatIsCapturedGroupByGroup) {
  const TiePattern pattern("(\\w+)-(\\w+)");
  EXPECT_EQ(pattern.captured("p-qr"), pattern.captured("/p-qr/"));
  EXPECT_NE(pattern.captured("p-qr"), pattern.captured("pq-r"));
  EXPECT_EQ(pattern.captured("pqr"), std::nullopt);
}

TEST_F(ModelSearch, RulesGoBeforeTies) {
  // Layers 0 and 2 hold the same data.
  const std::vector<Rule> rules = {Rule::parse("set layers.0.up=E3M2/row"),
                                   Rule::parse("set layers.2.up=E2M2/row")};
  ModelSearchOptions options;
  options.rules = rules;
  options.ties = {"layers"};
  const ModelSearchResult result = search_model(model(), costs("N=4", rules), options);
  EXPECT_EQ(to_string(*entry(result, "layers.0.up.weight").encoding), "E3M2/row/e8m0");
  EXPECT_EQ(to_string(*entry(result, "layers.2.up.weight").encoding), "E2M2/row/e8m0");
  EXPECT_EQ(result.groups.size(), 3u);

  // Measured as a rule had it, searched without the rule.
  options.rules.clear();
  options.ties.clear();
  options.space = parse_candidates("N=4");
  expect_error<UsageError>([&] { search_model(model(), costs("N=4", rules), options); },
                           "tensor 'layers.0.up.weight' and those tied to it have no candidate in common");
}

TEST_F(ModelSearch, EverySizeFromTheLeastOnIsReached) {
  // Candidates of equal data whose headers differ: ue4m3 has a tensor more.
  std::vector<TensorData> tensors;
  for (int t = 0; t < 40; ++t)
    tensors.push_back(scaled("t" + std::to_string(t) + ".weight", DType::F32, {16, 16},
                             static_cast<std::uint64_t>(t), 1.0f));
  sample::write_shard(folder_ / "many.safetensors", tensors);
  const Checkpoint many = Checkpoint::open(folder_ / "many.safetensors");
  CostRequest request;
  request.space = parse_candidates("N=4,E=1|2,block=32,scale=e8m0|ue4m3");
  const CostTable table = measure_costs(many, request).table;
  ModelSearchOptions options;
  options.target_size = 1;
  std::uint64_t least = 0;
  try {
    search_model(many, table, options);
  } catch (const UsageError& error) {
    const std::string text = error.what();
    least = std::stoull(text.substr(text.rfind("least ") + 6));
  }
  ASSERT_GT(least, 10000u);
  double last = std::numeric_limits<double>::infinity();
  for (const std::uint64_t more : {0, 1, 8, 64, 100, 160, 200, 300, 1000, 2000, 3000, 5000, 20000}) {
    options.target_size = least + more;
    const ModelSearchResult result = search_model(many, table, options);
    EXPECT_LE(result.file_bytes, least + more);
    EXPECT_LE(result.squared_error, last);
    last = result.squared_error;
  }
}

TEST_F(ModelSearch, ATargetWithNothingSelectedIsNotIgnored) {
  ModelSearchOptions options;
  options.rules = {Rule::parse("keep .")};
  const CostTable table = costs("N=4", options.rules);
  EXPECT_EQ(search_model(model(), table, options).selected_bytes, 0u);
  options.target_bpw = 4.0;
  EXPECT_THROW(search_model(model(), table, options), UsageError);
  options.target_bpw.reset();
  options.target_size = 1000;
  EXPECT_THROW(search_model(model(), table, options), UsageError);
}

TEST_F(ModelSearch, UniformIsOneEncodingForAllThatNoRulePins) {
  const std::vector<Rule> rules = {Rule::parse("set layers.1.up=E3M2/row")};
  const CostTable table = costs("N=3..5,block=32,scale=e8m0", rules);
  ModelSearchOptions options = with_bpw(4.9);
  options.rules = rules;
  options.uniform = true;
  const ModelSearchResult result = search_model(model(), table, options);
  ASSERT_TRUE(result.uniform_chosen);
  EXPECT_EQ(result.uniform[*result.uniform_chosen].encoding, *entry(result, "layers.0.up.weight").encoding);
  std::set<std::string> encodings;
  for (const PlanEntry& tensor : result.plan.tensors)
    if (tensor.encoding) encodings.insert(to_string(*tensor.encoding));
  EXPECT_EQ(encodings.size(), 2u);
  EXPECT_TRUE(encodings.contains("E3M2/row/e8m0"));

  // With a penalty on wide Formats the choice moves to fewer bits.
  options.target_bpw.reset();
  EXPECT_EQ(entry(search_model(model(), table, options), "layers.0.up.weight").encoding->bits(), 5);
  options.penalty_exponent = 30.0;
  EXPECT_EQ(entry(search_model(model(), table, options), "layers.0.up.weight").encoding->bits(), 3);
}

TEST_F(ModelSearch, OnlySomeOfTheTablesCandidatesMayBeOffered) {
  const CostTable table = costs("N=2..6,block=32");
  ModelSearchOptions options;
  options.space = parse_candidates("N=3..4,block=32");
  for (const PlanEntry& tensor : search_model(model(), table, options).plan.tensors)
    EXPECT_EQ(tensor.encoding ? tensor.encoding->bits() : 4, 4);
  options.space = parse_candidates("N=4,block=64");
  expect_error<UsageError>([&] { search_model(model(), table, options); },
                           "the cost table has no candidate of 'N=4,block=64'");
}

TEST_F(ModelSearch, TheFrontIsWhatBudgetsReach) {
  const CostTable table = costs("N=2..6,block=32");
  const ModelFront front = model_front(model(), table, {});
  ASSERT_GT(front.mixed.size(), 5u);
  for (std::size_t i = 0; i < front.mixed.size(); ++i) {
    const ModelFrontPoint& corner = front.mixed[i];
    if (i > 0) {
      EXPECT_GT(corner.bytes, front.mixed[i - 1].bytes);
      EXPECT_LT(corner.cost, front.mixed[i - 1].cost);
    }
    EXPECT_EQ(corner.cost, corner.squared_error);
    const ModelSearchResult same = search_model(model(), table, with_bpw(corner.bpw));
    EXPECT_EQ(same.selected_bytes, corner.bytes);
    EXPECT_NEAR(same.squared_error, corner.squared_error, 1e-12 * corner.squared_error);
  }
  ASSERT_EQ(front.uniform.size(), 5u);
  for (std::size_t u = 0; u < front.uniform.size(); ++u) {
    const UniformPoint& point = front.uniform[u];
    EXPECT_EQ(point.encoding, table.candidates[u]);
    std::uint64_t bytes = 0;
    double error = 0.0;
    for (const TensorCosts& row : table.tensors) {
      bytes += packed_size(table.candidates[u], row.tensor.shape);
      error += row.candidates[u]->squared_error;
    }
    EXPECT_EQ(point.bytes, bytes);
    EXPECT_NEAR(point.squared_error, error, 1e-12 * error);
  }
}

TEST_F(ModelSearch, OneEncodingEverywhereLeavesPinsAlone) {
  const std::vector<Rule> rules = {Rule::parse("set layers.1.up=E3M2/row")};
  const CostTable table = costs("N=3|4,block=32", rules);
  ModelSearchOptions options;
  options.rules = rules;
  const ModelFront front = model_front(model(), table, options);
  ASSERT_EQ(front.uniform.size(), 2u);  // E3M2/row is a column, but not for all
  const std::uint64_t pinned = packed_size(parse_encoding("E3M2/row"), {64, 100});
  std::uint64_t bytes = pinned;
  for (const TensorCosts& row : table.tensors)
    if (row.tensor.name != "layers.1.up.weight") bytes += packed_size(table.candidates[0], row.tensor.shape);
  EXPECT_EQ(front.uniform[0].bytes, bytes);
}

TEST_F(ModelSearch, ATableOfAnotherModelIsRefused) {
  const CostTable table = costs("N=4");
  CostTable other = table;
  other.file = "costs.json";
  other.tensors[1].tensor.name = "layers.9.weight";
  expect_error<InputError>(
      [&] { search_model(model(), other, {}); },
      "costs.json: tensor 'layers.9.weight': is in the cost table, but not in the model");
  other = table;
  other.file = "costs.json";
  other.tensors[0].tensor.shape = {96, 64};
  expect_error<InputError>(
      [&] { search_model(model(), other, {}); },
      "costs.json: tensor 'layers.0.up.weight': is BF16 [64, 96] in the model; the cost table "
      "was measured for BF16 [96, 64]");
  other = table;
  other.tensors.pop_back();
  other.file = "costs.json";
  expect_error<InputError>(
      [&] { search_model(model(), other, {}); },
      "costs.json: tensor 'layers.2.up.weight': is to be quantized, but the cost table lacks it");
  ModelSearchOptions pinned;
  pinned.rules = {Rule::parse("set layers.1.up=E3M2/row")};
  expect_error<InputError>([&] { search_model(model(), table, pinned); },
                           "tensor 'layers.1.up.weight': is to be E3M2/row/e8m0, which the cost table lacks");
}

TEST_F(ModelSearch, APlanIsCheckedAgainstTheModel) {
  const Plan plan = search_model(model(), costs("N=4"), {}).plan;
  const auto check = [&](auto change) {
    Plan edited = plan;
    change(edited);
    check_plan(edited, model(), "p.json");
    return edited;
  };
  EXPECT_EQ(to_json(check([](Plan&) {})), to_json(plan));
  // What a person changes: the Encoding, the order; sizes follow.
  const Plan edited = check([](Plan& p) {
    p.tensors[1].encoding = parse_encoding("E2M3/row");
    std::swap(p.tensors[1], p.tensors[5]);
  });
  EXPECT_EQ(edited.tensors[1].name, plan.tensors[1].name);
  EXPECT_EQ(edited.tensors[1].bytes, packed_size(parse_encoding("E2M3/row"), {64, 96}));

  expect_error<InputError>(
      [&] { check([](Plan& p) { p.tensors[1].name = "layers.0.upp.weight"; }); },
      "p.json: tensor 'layers.0.upp.weight': is in the plan, but not in the model; the nearest "
      "name there is 'layers.0.up.weight'");
  expect_error<InputError>([&] { check([](Plan& p) { p.tensors.pop_back(); }); },
                           "p.json: tensor 'lm_head.weight': is in the model, but not in the plan");
  expect_error<InputError>(
      [&] { check([](Plan& p) {
              p.tensors[1].shape = Shape{96, 64};
            }); },
      "p.json: tensor 'layers.0.up.weight': is BF16 [64, 96] in the model; the plan was made for "
      "BF16 [96, 64]");
  expect_error<InputError>(
      [&] { check([](Plan& p) { p.tensors[1].dtype = DType::F32; }); },
      "p.json: tensor 'layers.0.up.weight': is BF16 [64, 96] in the model; the plan was made for "
      "F32 [64, 96]");
  QuantizeOptions unchecked;
  unchecked.plan = plan;
  unchecked.plan->tensors.erase(unchecked.plan->tensors.begin());
  EXPECT_THROW(plan_quantization(model(), unchecked), UsageError);
}

}  // namespace
}  // namespace afp
