// Plans and rules as text: what is written reads back the same, and everything malformed is named.
#include "afp/plan.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "afp/error.hpp"
#include "afp/packed_tensor.hpp"
#include "expect_error.hpp"

namespace afp {
namespace {

Plan small_plan() {
  Plan plan;
  plan.tensors = {
      {"a.weight", DType::BF16, Shape{64, 128}, parse_encoding("E1M2+E2M1/16/ue4m3"), "", 4608, 0.1, 0.25},
      {"b \"quoted\" \xc3\xa4", {}, {}, parse_encoding("E3M2/row"), "", 96, 5e-324, {}},
      {"c", DType::I8, Shape{7}, {}, "1-D", 7, {}, {}}};
  return plan;
}

constexpr const char* kText =
    "{\"afp_plan\": 1, \"effort\": \"exact\", \"tensors\": [\n"
    "{\"name\":\"a.weight\",\"dtype\":\"BF16\",\"shape\":[64,128],\"encoding\":\"E1M2+E2M1/16/"
    "ue4m3\",\"bytes\":4608,"
    "\"cost\":0.1,\"squared_error\":0.25},\n"
    "{\"name\":\"b \\\"quoted\\\" \xc3\xa4\",\"encoding\":\"E3M2/row/e8m0\",\"bytes\":96,\"cost\":5e-324},\n"
    "{\"name\":\"c\",\"dtype\":\"I8\",\"shape\":[7],\"kept\":\"1-D\",\"bytes\":7}\n"
    "]}\n";

TEST(Plan, IsWrittenOneLineATensor) {
  EXPECT_EQ(to_json(small_plan()), kText);
  EXPECT_EQ(to_json(Plan{}), "{\"afp_plan\": 1, \"effort\": \"exact\", \"tensors\": [\n]}\n");
}

TEST(Plan, ReadsBackTheSame) {
  const Plan plan = parse_plan(kText, "p");
  ASSERT_EQ(plan.tensors.size(), 3u);
  EXPECT_EQ(plan.tensors[0].encoding, parse_encoding("E1M2+E2M1/16/ue4m3"));
  EXPECT_EQ(plan.tensors[0].cost, 0.1);
  EXPECT_EQ(plan.tensors[1].cost, 5e-324);
  EXPECT_EQ(plan.tensors[1].bytes, 96u);
  EXPECT_EQ(plan.tensors[2].kept, "1-D");
  EXPECT_FALSE(plan.tensors[2].encoding);
  EXPECT_FALSE(plan.tensors[2].cost);
  EXPECT_EQ(to_json(plan), kText);
  for (const double cost : {0.0, 1.0, 1e300, std::numeric_limits<double>::denorm_min(), 1.0 / 3.0}) {
    Plan one = small_plan();
    one.tensors[0].cost = cost;
    EXPECT_EQ(parse_plan(to_json(one), "p").tensors[0].cost, cost);
  }
}

TEST(Plan, FindsByName) {
  const Plan plan = small_plan();
  EXPECT_EQ(plan.find("c"), &plan.tensors[2]);
  EXPECT_EQ(plan.find("d"), nullptr);
}

TEST(Plan, KeepsWhatItWasMadeBy) {
  Plan plan = small_plan();
  plan.objective = Objective::kl_seed;
  plan.weighted = true;
  plan.effort = "fast";
  plan.sample = 16;
  const std::string text = to_json(plan);
  EXPECT_TRUE(text.starts_with(
      "{\"afp_plan\": 1, \"objective\": \"kl-seed\", \"weighted\": true, \"effort\": \"fast\", "
      "\"sample\": 16, \"tensors\": [\n"));
  EXPECT_EQ(to_json(parse_plan(text, "p")), text);
}

TEST(Plan, MayBeEditedByHand) {
  EXPECT_EQ(parse_plan(R"({"afp_plan": 1, "tensors": [{"name": "a", "encoding": "E2M1/32"}]})", "p")
                .tensors[0]
                .bytes,
            0u);
  const Plan plan = parse_plan(
      R"({ "tensors": [ { "bytes": 1, "cost": 3, "encoding": "E2M1/32", "name": "a" } ], "afp_plan": 1 })",
      "p");
  EXPECT_EQ(to_string(*plan.tensors[0].encoding), "E2M1/32/ue4m3");
  EXPECT_EQ(plan.tensors[0].cost, 3.0);
}

struct BadPlan {
  std::string text, message;
};

TEST(Plan, EveryFaultIsNamed) {
  const std::string big = R"({"afp_plan": 1, "tensors": [)";
  const BadPlan cases[] = {
      {"", "is not JSON: fault at byte 1"},
      {"[]", "is array, expected an object"},
      {"{}", "is no plan: key 'afp_plan' is missing"},
      {R"({"afp_plan": 2, "tensors": []})", "is a plan of version 2, expected 1"},
      {R"({"afp_plan": "1", "tensors": []})",
       R"(key 'afp_plan' is '"1"', expected a whole number of 64 bits)"},
      {R"({"afp_plan": 1})", "key 'tensors' is missing"},
      {R"({"afp_plan": 1, "tensors": {}})", "key 'tensors' is '{}', expected an array"},
      {R"({"afp_plan": 1, "tensors": [], "x": 1})", "key 'x' is unknown"},
      {R"({"afp_plan": 1, "afp_plan": 1, "tensors": []})", "key 'afp_plan' appears twice in one object"},
      {big + "3]}", "tensors[0]: is number, expected an object"},
      {big + R"({"kept":"", "bytes":1}]})", "tensors[0]: key 'name' is missing"},
      {big + R"({"name":1, "kept":"", "bytes":1}]})", "tensors[0]: key 'name' is '1', expected a string"},
      {big + R"({"name":"a", "bytes":1}]})", "tensor 'a': expected either 'encoding' or 'kept'"},
      {big + R"({"name":"a", "kept":"", "encoding":"E2M1/row", "bytes":1}]})",
       "tensor 'a': expected either 'encoding' or 'kept'"},
      {big + R"({"name":"a", "kept":"", "dtype":"BF15"}]})", "tensor 'a': dtype 'BF15' is unknown"},
      {big + R"({"name":"a", "kept":"", "shape":[-1]}]})",
       "tensor 'a': shape holds something that is no size"},
      {R"({"afp_plan": 1, "effort": "some", "tensors": []})", "effort is 'some', expected 'exact' or 'fast'"},
      {R"({"afp_plan": 1, "objective": "l1", "tensors": []})",
       "unknown objective 'l1'; expected mse, kl or kl-seed"},
      {R"({"afp_plan": 1, "sample": 0, "tensors": []})", "key 'sample' is 0, expected 1 or more"},
      {R"({"afp_plan": 1, "weighted": 1, "tensors": []})", "key 'weighted' is '1', expected true or false"},
      {big + R"({"name":"a", "kept":"", "bytes":-1}]})",
       "tensor 'a': key 'bytes' is '-1', expected a whole number of 64 bits"},
      {big + R"({"name":"a", "kept":"", "bytes":1, "cost":"x"}]})",
       R"(tensor 'a': key 'cost' is '"x"', expected a number)"},
      {big + R"({"name":"a", "kept":"", "bytes":1, "cost":-0.5}]})", "tensor 'a': key 'cost' is negative"},
      {big + R"({"name":"a", "kept":"", "bytes":1, "cost":1e999}]})", "is not JSON: a number is too large"},
      {big + R"({"name":"a", "kept":"", "bytes":1, "why":1}]})", "tensor 'a': key 'why' is unknown"},
      {big + R"({"name":"a", "kept":"", "bytes":1}, {"name":"a", "kept":"", "bytes":1}]})",
       "tensors[1]: the name 'a' appears twice"},
      {big + R"({"name":"a", "encoding":"E9M9/row", "bytes":1}]})",
       "tensor 'a': Format E9M9 has 19 bits with its sign; expected 2 to 8, at least one of them exponent"},
      {big + R"({"name":"a", "encoding":"E2M1", "bytes":1}]})",
       "tensor 'a': not an Encoding: 'E2M1'; expected FORMAT[+FORMAT]/BLOCK[/SCALE]"},
  };
  for (const BadPlan& bad : cases) {
    SCOPED_TRACE(bad.text);
    expect_error<InputError>([&] { parse_plan(bad.text, "plan.json"); }, "plan.json: " + bad.message);
  }
}

TEST(Plan, WhatCannotBeWrittenIsRefused) {
  Plan plan = small_plan();
  plan.tensors[0].cost = std::numeric_limits<double>::infinity();
  expect_error<InputError>([&] { to_json(plan); }, "tensor 'a.weight': its cost is not finite");
  plan.tensors[0].cost = 1.0;
  plan.tensors[0].name = "\xff";
  expect_error<InputError>([&] { to_json(plan); }, "a name is not UTF-8");
}

TEST(EncodingRequest, GivesItsCandidates) {
  const auto texts = [](const EncodingRequest& request) {
    std::vector<std::string> out;
    for (const Encoding& encoding : request.candidates()) out.push_back(to_string(encoding));
    return out;
  };
  EXPECT_EQ(texts({}), std::vector<std::string>{"E1M2+E2M1/16/ue4m3"});
  EXPECT_EQ(texts({2, {BlockKind::small, 32}, ScaleKind::ue4m3, {}}),
            std::vector<std::string>{"E1M0/32/ue4m3"});
  EXPECT_EQ(texts({4, {BlockKind::row, 0}, ScaleKind::e8m0, {}}),
            (std::vector<std::string>{"E1M2/row/e8m0", "E2M1/row/e8m0", "E3M0/row/e8m0"}));
  EXPECT_EQ(texts({9, {}, ScaleKind::e8m0, parse_encoding("E2M1/32/e8m0")}),
            std::vector<std::string>{"E2M1/32/e8m0"});
  for (const int bits : {1, 9}) {
    EncodingRequest request;
    request.bits = bits;
    expect_error<UsageError>([&] { request.candidates(); },
                             std::to_string(bits) + " bits a weight; expected 2 to 8");
  }
}

TEST(Rule, IsReadAndWritten) {
  for (const char* text :
       {"keep lm_head", "only layers\\.(1|2)\\.", "set q_proj=E2M1/32/e8m0", "set a=b=E3M2/row/e8m0"})
    EXPECT_EQ(to_string(Rule::parse(text)), text);
  const Rule rule = Rule::parse("  set \t a b = E2M1/16 \r");
  EXPECT_EQ(rule.action, Rule::Action::set);
  EXPECT_EQ(rule.pattern, "a b");
  EXPECT_EQ(to_string(*rule.encoding), "E2M1/16/ue4m3");
  expect_error<UsageError>(
      [] {
        to_string(Rule{Rule::Action::set, "a", std::nullopt});
      },
      "the rule set a names no Encoding");
}

TEST(Rule, EveryFaultIsNamed) {
  const std::string expected =
      "; expected keep REGEX, only REGEX or set REGEX=ENCODING, as set q_proj=E2M1/32";
  const std::string pairs = "its '(' and ')' do not pair up, or a '*', '+' or '?' has nothing to repeat";
  const std::pair<std::string, std::string> cases[] = {
      {"", "not a rule: ''" + expected},
      {"keep", "not a rule: 'keep'" + expected},
      {"drop x", "not a rule: 'drop x'" + expected},
      {"set x", "not a rule: 'set x'" + expected},
      {"set x=E2M1", "not an Encoding: 'E2M1'; expected FORMAT[+FORMAT]/BLOCK[/SCALE]"},
      {"set =E2M1/row", "a regular expression is empty"},
      {"keep (", "not a regular expression: '('; " + pairs},
      {"keep a)(b", "not a regular expression: 'a)(b'; " + pairs},
      {"keep [b-a]", "not a regular expression: '[b-a]'; a range in '[' and ']' is malformed"},
      {"keep *", "not a regular expression: '*'; " + pairs},
      {"keep (a)\\1", "not a regular expression: '(a)\\1'; back-references are not supported"},
      {"keep ((a{999}){999}){999}",
       "not a regular expression: '((a{999}){999}){999}'; it is too large once its repetitions are written "
       "out"},
  };
  for (const auto& [text, message] : cases) {
    SCOPED_TRACE(text);
    expect_error<UsageError>([&] { Rule::parse(text); }, message);
  }
  const std::string long_pattern(600, 'a');
  expect_error<UsageError>(
      [&] { Rule::parse("keep " + long_pattern); },
      "the regular expression '" + std::string(100, 'a') + "...' has 600 bytes; expected at most 512");
}

TEST(Rules, AreLinesOfAFile) {
  const std::vector<Rule> rules = parse_rules("# comment\n\n  \nkeep a\r\n  set b=E2M1/row\nonly c", "r");
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_EQ(to_string(rules[0]), "keep a");
  EXPECT_EQ(to_string(rules[1]), "set b=E2M1/row/e8m0");
  EXPECT_EQ(to_string(rules[2]), "only c");
  EXPECT_TRUE(parse_rules("", "r").empty());
  expect_error<InputError>([] { parse_rules("keep a\n\nset b=E2M1/17\n", "rules.txt"); },
                           "rules.txt: line 3: not a block: '17'; expected tensor, row, 16, 32, 64 or 128");
}

TEST(PackedSizes, FollowFromTheGrid) {
  const auto sizes = [](const char* encoding_text, const Shape& shape) {
    const Encoding encoding = parse_encoding(encoding_text);
    const BlockGrid grid(encoding.block, encoding.bits(), shape);
    return to_string(codes_shape(grid)) + " " + to_string(scales_shape(grid)) + " " +
           std::to_string(packed_size(encoding, shape));
  };
  EXPECT_EQ(sizes("E2M1/32/e8m0", {4, 100}), "[4, 4, 16] [4, 4] 272");
  EXPECT_EQ(sizes("E1M2+E2M1/16", {4, 10, 10}), "[4, 7, 8] [4, 7] 256");
  EXPECT_EQ(sizes("E2M1/row", {4, 100}), "[4, 1, 64] [4, 1] 260");
  EXPECT_EQ(sizes("E2M2/tensor", {4, 100}), "[4, 1, 80] [1, 1] 321");
  EXPECT_EQ(sizes("E2M1/tensor/ue4m3", {5}), "[1, 1, 16] [1, 1] 21");
  EXPECT_EQ(sizes("E2M1/row", {3, 0}), "[3, 1, 0] [3, 0] 0");
  EXPECT_EQ(sizes("E2M1/16", {0, 5}), "[0, 0, 8] [0, 0] 4");
}

}  // namespace
}  // namespace afp
