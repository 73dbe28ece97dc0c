// Which tensors are quantized: by shape, type and name, and by rules.
#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "afp/plan.hpp"
#include "expect_error.hpp"
#include "host/core/name_pattern.hpp"

namespace afp {
namespace {

TensorInfo matrix(const std::string& name) {
  return {name, DType::BF16, {8, 16}};
}

// Why the tensor is kept, or the Encoding asked for, or "default".
std::string outcome(const Selection& selection) {
  if (!selection.request) return selection.kept;
  EXPECT_TRUE(selection.kept.empty());
  return selection.request->encoding ? to_string(*selection.request->encoding) : "default";
}

std::vector<std::string> outcomes(const std::vector<TensorInfo>& tensors,
                                  const std::vector<std::string>& rules) {
  std::vector<Rule> parsed;
  for (const std::string& rule : rules) parsed.push_back(Rule::parse(rule));
  std::vector<std::string> out;
  for (const Selection& selection : select_tensors(tensors, {}, parsed)) out.push_back(outcome(selection));
  return out;
}

std::string outcome_of(const TensorInfo& tensor) {
  return outcomes({tensor}, {})[0];
}

TEST(Selection, ByShapeAndType) {
  EXPECT_EQ(outcome_of({"w", DType::BF16, {2, 3}}), "default");
  EXPECT_EQ(outcome_of({"w", DType::F16, {2, 3, 4, 5}}), "default");
  EXPECT_EQ(outcome_of({"w", DType::F32, {1, 1}}), "default");
  EXPECT_EQ(outcome_of({"w", DType::F64, {2, 3}}), "default");
  EXPECT_EQ(outcome_of({"w", DType::BF16, {6}}), "1-D");
  EXPECT_EQ(outcome_of({"w", DType::BF16, {}}), "scalar");
  EXPECT_EQ(outcome_of({"w", DType::BF16, {4, 0}}), "empty");
  EXPECT_EQ(outcome_of({"w", DType::I64, {2, 3}}), "dtype I64");
  EXPECT_EQ(outcome_of({"w", DType::F8_E4M3, {2, 3}}), "dtype F8_E4M3");
  EXPECT_EQ(outcome_of({"w", DType::I64, {2}}), "dtype I64");
}

TEST(Selection, EmbeddingsAndHeadsByName) {
  for (const char* name :
       {"model.embed_tokens.weight", "transformer.wte.weight", "wpe.weight", "tok_embeddings.weight",
        "embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight", "gpt_neox.embed_in.weight", "shared.weight",
        "model.decoder.embed_positions.weight", "text_model.embeddings.token_embedding.weight",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "backbone.embedding.weight",
        "model.language_model.embed_tokens.weight", "pos_embed", "rwkv.emb.weight"}) {
    EXPECT_EQ(outcome_of(matrix(name)), "embedding") << name;
  }
  for (const char* name :
       {"lm_head.weight", "language_model.lm_head.weight", "embed_out.weight", "output.weight", "head.weight",
        "score.weight", "classifier.weight", "proj_out.weight"}) {
    EXPECT_EQ(outcome_of(matrix(name)), "output head") << name;
  }
  for (const char* name :
       {"model.layers.0.self_attn.q_proj.weight", "encoder.layer.0.output.dense.weight", "fc1.weight",
        "conv1.weight", "blocks.0.attn.proj_out.weight", "layers.0.mlp.shared.gate_proj.weight",
        "embed_tokens_proj.weight", "layers.0.attention.wte2.weight", "mlp.head.0.weight",
        "transformer.h.0.mlp.c_proj.weight"}) {
    EXPECT_EQ(outcome_of(matrix(name)), "default") << name;
  }
}

const std::vector<TensorInfo> kModel = {
    matrix("embed_tokens.weight"),        matrix("layers.0.q_proj.weight"),
    matrix("layers.1.q_proj.weight"),     {"layers.0.norm.weight", DType::BF16, {8}},
    {"position_ids", DType::I64, {1, 9}}, {"none", DType::BF16, {0, 8}}};
using Texts = std::vector<std::string>;

TEST(Selection, LastMatchingRuleWins) {
  EXPECT_EQ(outcomes(kModel, {}), (Texts{"embedding", "default", "default", "1-D", "dtype I64", "empty"}));
  EXPECT_EQ(outcomes(kModel, {"keep layers\\.0"}), (Texts{"embedding", "rule keep layers\\.0", "default",
                                                          "rule keep layers\\.0", "dtype I64", "empty"}));
  EXPECT_EQ(outcomes(kModel, {"set q_proj=E3M2/row", "keep \\.1\\."}),
            (Texts{"embedding", "E3M2/row/e8m0", "rule keep \\.1\\.", "1-D", "dtype I64", "empty"}));
  EXPECT_EQ(outcomes(kModel, {"keep \\.1\\.", "set q_proj=E3M2/row"}),
            (Texts{"embedding", "E3M2/row/e8m0", "E3M2/row/e8m0", "1-D", "dtype I64", "empty"}));
}

TEST(Selection, OnlyLeavesNothingElse) {
  EXPECT_EQ(outcomes(kModel, {"only layers\\.0\\.q"}),
            (Texts{"embedding", "default", "not named by only", "1-D", "dtype I64", "empty"}));
  EXPECT_EQ(outcomes(kModel, {"only layers\\.0\\.q", "only layers\\.1\\.q"}),
            (Texts{"embedding", "default", "default", "1-D", "dtype I64", "empty"}));
  EXPECT_EQ(outcomes(kModel, {"set layers\\.1\\.q=E2M1/32", "only layers\\.0\\.q"}),
            (Texts{"embedding", "default", "E2M1/32/ue4m3", "1-D", "dtype I64", "empty"}));
}

TEST(Selection, RulesMaySelectWhatIsKeptOtherwise) {
  EXPECT_EQ(
      outcomes(kModel, {"only embed", "set norm=E2M1/row"}),
      (Texts{"default", "not named by only", "not named by only", "E2M1/row/e8m0", "dtype I64", "empty"}));
  EXPECT_EQ(outcomes(kModel, {"set none=E2M1/row"})[5], "empty");
}

TEST(Selection, UnquantizableTypesCannotBeSelected) {
  expect_error<UsageError>(
      [] { outcomes(kModel, {"only position"}); },
      "rule 'only position' selects the tensor 'position_ids' of dtype I64, which cannot be "
      "quantized; expected BF16, F16, F32 or F64");
  expect_error<UsageError>(
      [] {
        outcomes(kModel, {"keep x|ids", "set .*=E2M1/row"});
      },
      "rule 'set .*=E2M1/row/e8m0' selects the tensor 'position_ids' of dtype I64, which cannot "
      "be quantized; expected BF16, F16, F32 or F64");
  EXPECT_EQ(outcomes(kModel, {"set .*=E2M1/row", "keep ids"})[4], "rule keep ids");
}

TEST(Selection, APatternThatMatchesNothingIsCorrected) {
  expect_error<UsageError>([] { outcomes(kModel, {"keep layers\\.0\\.q_porj"}); },
                           "rule 'keep layers\\.0\\.q_porj' matches no tensor; the nearest name is "
                           "'layers.0.q_proj.weight'");
  expect_error<UsageError>(
      [] { outcomes(kModel, {"keep ^posittion_id$"}); },
      "rule 'keep ^posittion_id$' matches no tensor; the nearest name is 'position_ids'");
  expect_error<UsageError>([] { outcomes({}, {"keep a"}); }, "rule 'keep a' matches no tensor");
  expect_error<UsageError>(
      [] {
        select_tensors(kModel, {}, {Rule{Rule::Action::set, "q", {}}});
      },
      "the rule set q names no Encoding");
}

TEST(NamePattern, IsFoundAnywhere) {
  const auto matches = [](const char* pattern, const char* name) {
    return NamePattern(pattern).matches(name);
  };
  EXPECT_TRUE(matches("b", "abc"));
  EXPECT_TRUE(matches("^a.c$", "abc"));
  EXPECT_FALSE(matches("^b", "abc"));
  EXPECT_FALSE(matches("b$", "abc"));
  EXPECT_TRUE(matches("x|c", "abc"));
  EXPECT_FALSE(matches("x|^c", "abc"));
  EXPECT_FALSE(matches("B", "abc"));
  EXPECT_TRUE(matches("c\nd", "ab\rc\nde\n"));
  EXPECT_TRUE(matches("layers\\.(1|2)\\..*proj", "m.layers.2.q_proj.weight"));
  EXPECT_TRUE(matches("\xc3\xa4", "x\xc3\xa4y"));
}

// A backtracking engine takes longer than the universe has existed for these.
TEST(NamePattern, CannotRunAway) {
  const std::string name = std::string(500, 'a') + "!";
  for (const char* pattern : {"(a+)+$", "^(a|a)*$", "(a*)*b", "(.*)(.*)(.*)(.*)(.*)x"})
    EXPECT_FALSE(NamePattern(pattern).matches(name)) << pattern;
  expect_error<InputError>([] { NamePattern("a").matches(std::string(513, 'a')); },
                           "the name '" + std::string(100, 'a') +
                               "...' has 513 bytes; rules can be applied to names of at most 512");
}

}  // namespace
}  // namespace afp
