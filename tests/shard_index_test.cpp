// The index of a sharded checkpoint: every text that is refused, and the text that is written.
#include "host/checkpoint/shard_index.hpp"

#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "expect_error.hpp"

namespace afp {
namespace {

TEST(ShardIndex, IsRead) {
  const WeightMap expected = {{"a", "x.safetensors"}, {"b", "y.safetensors"}};
  EXPECT_EQ(parse_shard_index(R"({"metadata": {"total_size": 1.5e9, "other": [1]}, "tool": "x",
                                  "weight_map": {"b": "y.safetensors", "a": "x.safetensors"}})",
                              "i"),
            expected);
  EXPECT_EQ(parse_shard_index(R"({"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}})", "i"),
            expected);
}

TEST(ShardIndex, RefusesMalformedText) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "i: is not JSON: fault at byte 1"},
      {R"({"weight_map": {"a": "x")", "i: is not JSON: fault at byte 25"},
      {R"({"weight_map": {}} x)", "i: is not JSON: fault at byte 20"},
      {"{\"\xff\": 1}", "i: text is not UTF-8 at byte 2"},
      {std::string("{}\0", 3), "i: text is not JSON: byte 2 is zero"},
      {R"({"a": 1e999})", "i: is not JSON: a number is too large"},
      {std::string(100'000, '['), "i: JSON is nested deeper than 64"},
      {R"({"x": )" + std::string(100, '[') + "}", "i: JSON is nested deeper than 64"},
      {"[]", "i: index is no JSON object"},
      {"{}", "i: index has no \"weight_map\""},
      {R"({"weight_map": []})", "i: \"weight_map\" is no JSON object"},
      {R"({"weight_map": {}})", "i: \"weight_map\" names no tensor"},
      {R"({"weight_map": {"a": 1}})", "i: tensor 'a': \"weight_map\" holds no file name for it"},
      {R"({"weight_map": {"a": "x", "a": "y"}})", "i: key 'a' appears twice in one object"},
      {R"({"weight_map": {"a": "x"}, "weight_map": {"a": "x"}})",
       "i: key 'weight_map' appears twice in one object"},
      {R"({"weight_map": {"a": "x"}, "m": [{"k": 1}, {"k": 1, "k": 2}]})",
       "i: key 'k' appears twice in one object"},
  };
  for (const auto& item : cases) {
    const auto& text = item.first;
    const auto& message = item.second;
    SCOPED_TRACE(text.substr(0, 80));
    expect_error<InputError>([&] { parse_shard_index(text, "i"); }, message);
  }
}

TEST(ShardIndex, RefusesNamesThatLeaveTheFolder) {
  for (const std::string name : {"", ".", "..", "../x", "a/b", "/etc/x", "a\\\\b", "..\\\\x"}) {
    SCOPED_TRACE(name);
    try {
      parse_shard_index(R"({"weight_map": {"a": ")" + name + "\"}}", "i");
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("is not a plain file name inside the folder"),
                std::string::npos)
          << error.what();
      EXPECT_EQ(error.tensor(), "a");
    }
  }
  expect_error<InputError>(
      [] { parse_shard_index(R"({"weight_map": {"a": "x\u0000/../y"}})", "i"); },
      "i: tensor 'a': its shard 'x\\x00/../y' is not a plain file name inside the folder");
}

TEST(ShardIndex, IsWrittenSortedAndReadBack) {
  const WeightMap map = {{"b\"", "y.safetensors"}, {"a", "x.safetensors"}};
  const std::string text = serialize_shard_index(map, 12);
  EXPECT_EQ(text,
            "{\n"
            "  \"metadata\": {\n"
            "    \"total_size\": 12\n"
            "  },\n"
            "  \"weight_map\": {\n"
            "    \"a\": \"x.safetensors\",\n"
            "    \"b\\\"\": \"y.safetensors\"\n"
            "  }\n"
            "}\n");
  EXPECT_EQ(parse_shard_index(text, "i"), map);
}

TEST(ShardFileName, CountsFromOneInFiveDigits) {
  EXPECT_EQ(shard_file_name(0, 1), "model-00001-of-00001.safetensors");
  EXPECT_EQ(shard_file_name(11, 345), "model-00012-of-00345.safetensors");
  EXPECT_EQ(shard_file_name(123'455, 123'456), "model-123456-of-123456.safetensors");
}

}  // namespace
}  // namespace afp
