// Cost tables as text: what is written reads back, anything truncated, edited or malformed is refused.
#include "afp/cost_table.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "host/checkpoint/sealed_text.hpp"

namespace afp {
namespace {

constexpr const char* kDigest = "0123456789abcdef0123456789abcdef";

CostTable small_table() {
  CostTable table;
  table.candidates = {parse_encoding("E1M2/tensor"), parse_encoding("E2M1/32/e8m0")};
  table.tensors = {
      {{"a", DType::BF16, {64, 32}}, kDigest, 12.5, {CandidateCost{0.1, 0.1}, CandidateCost{5e-324, 5e-324}}},
      {{"b\"", DType::F32, {3, 3, 3, 3}}, kDigest, 0.0, {std::nullopt, CandidateCost{1.0 / 3, 1.0 / 3}}}};
  return table;
}

void expect_same(const CostTable& a, const CostTable& b) {
  EXPECT_EQ(a.objective, b.objective);
  EXPECT_EQ(a.weighted, b.weighted);
  EXPECT_EQ(a.effort, b.effort);
  EXPECT_EQ(a.sample, b.sample);
  EXPECT_EQ(a.candidates, b.candidates);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (std::size_t t = 0; t < a.tensors.size(); ++t) {
    EXPECT_EQ(a.tensors[t].tensor.name, b.tensors[t].tensor.name);
    EXPECT_EQ(a.tensors[t].tensor.dtype, b.tensors[t].tensor.dtype);
    EXPECT_EQ(a.tensors[t].tensor.shape, b.tensors[t].tensor.shape);
    EXPECT_EQ(a.tensors[t].digest, b.tensors[t].digest);
    EXPECT_EQ(a.tensors[t].signal, b.tensors[t].signal);
    EXPECT_EQ(a.tensors[t].candidates, b.tensors[t].candidates);
  }
}

TEST(CostTable, ReadsBackTheSame) {
  const CostTable mse = small_table();
  expect_same(parse_cost_table(to_json(mse), "t"), mse);
  EXPECT_EQ(to_json(mse).find("squared_errors"), std::string::npos);

  CostTable kl = small_table();
  kl.objective = Objective::kl;
  kl.effort = "fast";
  kl.sample = 16;
  kl.tensors[0].candidates[0] = CandidateCost{0.25, 7.0};
  expect_same(parse_cost_table(to_json(kl), "t"), kl);

  CostTable weighted = small_table();
  weighted.weighted = true;
  weighted.tensors[0].candidates[0] = CandidateCost{0.25, 7.0};
  expect_same(parse_cost_table(to_json(weighted), "t"), weighted);
}

TEST(CostTable, FindsRowsAndColumns) {
  const CostTable table = small_table();
  EXPECT_EQ(table.find("b\""), &table.tensors[1]);
  EXPECT_EQ(table.find("c"), nullptr);
  EXPECT_EQ(table.column(parse_encoding("E2M1/32/e8m0")), 1u);
  EXPECT_EQ(table.column(parse_encoding("E2M1/16/e8m0")), std::nullopt);
}

TEST(CostTable, TruncatedOrEditedIsRefused) {
  const std::string text = to_json(small_table());
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_THROW(parse_cost_table(text.substr(0, length), "t"), InputError) << length;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string edited = text;
    edited[i] = edited[i] == '1' ? '2' : '1';
    EXPECT_THROW(parse_cost_table(edited, "t"), InputError) << i;
  }
  std::string edited = text;
  edited.replace(edited.find("12.5"), 4, "13.5");
  expect_error<InputError>([&] { parse_cost_table(edited, "t.json"); },
                           "t.json: the cost table was changed after it was written: its text and its digest "
                           "disagree");
  expect_error<InputError>(
      [&] { parse_cost_table(text.substr(0, text.size() - 1), "t.json"); },
      "t.json: the cost table was changed after it was written: it does not end with its "
      "digest");
  expect_error<InputError>([&] { parse_cost_table("{}", "t.json"); },
                           "t.json: is no cost table: key 'afp_costs' is missing");
}

TEST(CostTable, EveryFaultBehindAGoodDigestIsNamed) {
  const auto replaced = [](const std::string& from, const std::string& to) {
    std::string text = to_json(small_table());
    text.erase(text.rfind("\"digest\""));
    const std::size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    text.replace(place, from.size(), to);
    return sealed(text);
  };
  const struct {
    std::string from, to, message;
  } cases[] = {
      {"\"afp_costs\": 1", "\"afp_costs\": 2", "is a cost table of version 2, expected 1"},
      {"\"mse\"", "\"mae\"", "unknown objective 'mae'"},
      {"\"exact\"", "\"good\"", "effort is 'good'"},
      {"\"sample\": 1", "\"sample\": 0", "key 'sample' is 0, expected 1 or more"},
      {"\"weighted\": false", "\"weighted\": 0", "expected true or false"},
      {"\"E1M2/tensor/e8m0\"", "3", "holds something that is no Encoding"},
      {"\"E1M2/tensor/e8m0\"", "\"E9M9/row\"", "Format E9M9 has 19 bits"},
      {"\"E1M2/tensor/e8m0\"", "\"E2M1/32/e8m0\"", "the candidate E2M1/32/e8m0 appears twice"},
      {"\"E1M2/tensor/e8m0\",", "", "tensors[0]: key 'costs' has 2 elements, expected 1, one a candidate"},
      {"[0.1,", "[-0.1,", "tensors[0]: key 'costs' holds something that is no number of 0 or more"},
      {"[0.1,", "[\"x\",", "tensors[0]: key 'costs' holds something that is no number of 0 or more"},
      {"12.5", "-12.5", "tensors[0]: key 'signal' is negative"},
      {kDigest, "0123", "tensors[0]: key 'digest' is no digest"},
      {"\"b\\\"\"", "\"a\"", "tensors[1]: the name 'a' appears twice"},
      {"\"signal\":12.5", "\"signal\":12.5,\"x\":1", "tensors[0]: key 'x' is unknown"},
      {"\"sample\": 1", "\"sample\": 1, \"x\": 1", "key 'x' is unknown"},
      {"\"mse\"", "\"kl\"", "key 'squared_errors' is missing"},
  };
  for (const auto& fault : cases) {
    SCOPED_TRACE(fault.to);
    expect_error<InputError>([&] { parse_cost_table(replaced(fault.from, fault.to), "t.json"); },
                             fault.message, Message::part);
  }
}

TEST(CostTable, CostsAndErrorsAreOfTheSameCandidates) {
  CostTable table = small_table();
  table.objective = Objective::kl;
  std::string text = to_json(table);
  text.erase(text.rfind("\"digest\""));
  const std::string errors = "\"squared_errors\":[null,";
  text.replace(text.find(errors), errors.size(), "\"squared_errors\":[0.5,");
  expect_error<InputError>(
      [&] { parse_cost_table(sealed(text), "t.json"); },
      "t.json: tensors[1]: 'costs' and 'squared_errors' do not agree on what was measured");
}

TEST(CostTable, WhatCannotBeWrittenIsRefused) {
  CostTable table = small_table();
  table.tensors[0].candidates[0]->cost = std::numeric_limits<double>::quiet_NaN();
  expect_error<InputError>([&] { to_json(table); }, "tensor 'a': a cost is no finite number of 0 or more");
}

}  // namespace
}  // namespace afp
