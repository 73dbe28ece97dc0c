// Edits of one key in JSON text: exact results in many styles, texts that are refused, and, over many
// generated objects, that nothing but the key changes.
#include "host/checkpoint/config_json.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "afp/error.hpp"
#include "expect_error.hpp"

namespace afp {
namespace {

// ---------------------------------------------------------------- exact results

struct Edit {
  std::string name;
  std::string before;
  std::string after;  // of setting "q" to {"n": 1} laid out over three lines
};

constexpr const char* kValue = "{\n  \"n\": 1\n}";

const Edit kEdits[] = {
    {"Appends", "{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\n  \"q\": {\n    \"n\": 1\n  }\n}\n"},
    {"FourSpaces", "{\n    \"a\": 1\n}", "{\n    \"a\": 1,\n    \"q\": {\n      \"n\": 1\n    }\n}"},
    {"Tabs", "{\n\t\"a\": 1\n}", "{\n\t\"a\": 1,\n\t\"q\": {\n\t  \"n\": 1\n\t}\n}"},
    {"WindowsLines", "{\r\n  \"a\": 1\r\n}\r\n",
     "{\r\n  \"a\": 1,\r\n  \"q\": {\r\n    \"n\": 1\r\n  }\r\n}\r\n"},
    {"BlankLineFirst", "{\n\n  \"a\": 1\n}", "{\n\n  \"a\": 1,\n  \"q\": {\n    \"n\": 1\n  }\n}"},
    {"Compact", R"({"a":1,"b":2})", "{\"a\":1,\"b\":2,\"q\":{\n  \"n\": 1\n}}"},
    {"CompactOne", R"({"a":1})", "{\"a\":1,\"q\":{\n  \"n\": 1\n}}"},
    {"OneLine", R"({"a": 1, "b": 2})", "{\"a\": 1, \"b\": 2, \"q\": {\n  \"n\": 1\n}}"},
    {"OneLineOne", R"({"a": 1})", "{\"a\": 1, \"q\": {\n  \"n\": 1\n}}"},
    {"SpacesInside", R"({ "a": 1 })", "{ \"a\": 1, \"q\": {\n  \"n\": 1\n} }"},
    {"WideColons", "{\n  \"a\" : 1\n}", "{\n  \"a\" : 1,\n  \"q\" : {\n    \"n\": 1\n  }\n}"},
    {"Empty", "{}", "{\n  \"q\": {\n    \"n\": 1\n  }\n}"},
    {"EmptyWithSpace", "{ \n }\n", "{\n  \"q\": {\n    \"n\": 1\n  }\n}\n"},
    {"NotANumber", "{\n  \"a\": NaN,\n  \"b\": [-Infinity, Infinity]\n}",
     "{\n  \"a\": NaN,\n  \"b\": [-Infinity, Infinity],\n  \"q\": {\n    \"n\": 1\n  }\n}"},
    {"Replaces", "{\n  \"q\": [1, 2],\n  \"a\": 1\n}", "{\n  \"q\": {\n    \"n\": 1\n  },\n  \"a\": 1\n}"},
    {"ReplacesLast", R"({"a": 1, "q": null})", "{\"a\": 1, \"q\": {\n  \"n\": 1\n}}"},
    {"ReplacesOnlyAtTheTop", R"({"a": {"q": 1}, "q": "x", "b": ["q"]})",
     "{\"a\": {\"q\": 1}, \"q\": {\n  \"n\": 1\n}, \"b\": [\"q\"]}"},
    {"ReplacesAnEscapedKey", R"({"\u0071": 1})", "{\"\\u0071\": {\n  \"n\": 1\n}}"},
    {"StringsHideBrackets", R"({"a": "}\"{", "b": "\\"})",
     "{\"a\": \"}\\\"{\", \"b\": \"\\\\\", \"q\": {\n  \"n\": 1\n}}"},
};

class SetKey : public testing::TestWithParam<Edit> {};

TEST_P(SetKey, GivesExactly) {
  const std::string after = set_top_level_key(GetParam().before, "q", kValue);
  EXPECT_EQ(after, GetParam().after);
  EXPECT_EQ(set_top_level_key(after, "q", kValue), after) << "a second time changes nothing";
}

INSTANTIATE_TEST_SUITE_P(, SetKey, testing::ValuesIn(kEdits),
                         [](const auto& test) { return test.param.name; });

TEST(RemoveKey, TakesOneCommaWithIt) {
  const std::pair<std::string, std::string> cases[] = {
      {"{\n  \"q\": 1\n}\n", "{}\n"},
      {"{\n  \"q\": 1,\n  \"a\": 2\n}", "{\n  \"a\": 2\n}"},
      {"{\n  \"a\": 2,\n  \"q\": 1\n}", "{\n  \"a\": 2\n}"},
      {R"({"a": 1, "q": {"x": [1, 2]}, "b": 2})", R"({"a": 1, "b": 2})"},
      {R"({"a": {"q": 1}})", R"({"a": {"q": 1}})"},
      {"{}", "{}"},
  };
  for (const auto& [before, after] : cases) EXPECT_EQ(remove_top_level_key(before, "q"), after) << before;
}

TEST(FindKey, GivesTheValuesText) {
  const std::string_view text = R"( {"a": {"b": 1}, "c" :[1, {"b": 2}] , "n":NaN, "s": "x\"y" } )";
  EXPECT_EQ(find_top_level_key(text, "a"), R"({"b": 1})");
  EXPECT_EQ(find_top_level_key(text, "c"), R"([1, {"b": 2}])");
  EXPECT_EQ(find_top_level_key(text, "n"), "NaN");
  EXPECT_EQ(find_top_level_key(text, "s"), R"("x\"y")");
  EXPECT_EQ(find_top_level_key(text, "b"), std::nullopt);
  EXPECT_EQ(find_top_level_key("{}", "b"), std::nullopt);
}

// ---------------------------------------------------------------- refused

TEST(RefusedText, SaysWhereAndWhat) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "expected '{' at byte 0"},
      {"[]", "expected '{' at byte 0"},
      {"null", "expected '{' at byte 0"},
      {"{", "expected '\"' at byte 1"},
      {"{} {}", "expected the end of the text at byte 3"},
      {R"({"a"})", "expected ':' at byte 4"},
      {R"({"a":})", "expected a value at byte 5"},
      {R"({"a":1)", "expected '}' at byte 6"},
      {R"({"a":1,})", "expected '\"' at byte 7"},
      {R"({"a":1 "b":2})", "expected '}' at byte 7"},
      {R"({"a":[1})", "expected a value at byte 7"},
      {R"({"a":[1,{)", "expected a value at byte 9"},
      {R"({"a":"x)", "expected the end of a string at byte 7"},
      {R"({"a":"x\)", "expected the end of a string at byte 8"},
      {R"({a:1})", "expected '\"' at byte 1"},
      {"\xef\xbb\xbf{}", "expected '{' at byte 0"},
  };
  for (const auto& item : cases) {
    const auto& text = item.first;
    const auto& message = item.second;
    SCOPED_TRACE(text);
    const std::string whole = "c.json: is not one JSON object: " + message;
    expect_error<InputError>([&] { find_top_level_key(text, "a", "c.json"); }, whole);
    expect_error<InputError>([&] { set_top_level_key(text, "a", "1", "c.json"); }, whole);
    expect_error<InputError>([&] { remove_top_level_key(text, "a", "c.json"); }, whole);
  }
}

TEST(RefusedText, KeyInDoubt) {
  expect_error<InputError>([] { find_top_level_key(R"({"a":1,"\u0061":2})", "a", "c"); },
                           "c: key 'a' appears twice");
  EXPECT_EQ(find_top_level_key(R"({"a":1,"a":2,"b":3})", "b"), "3") << "other keys do not matter";
  expect_error<InputError>([] { find_top_level_key(R"({"\x":1})", "a", "c"); },
                           R"(c: is not JSON: key '"\x"' is malformed)");
}

TEST(RefusedText, DeepNestingIsNoDanger) {
  const std::string deep = R"({"a":)" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}";
  EXPECT_EQ(find_top_level_key(deep, "a")->size(), 2'000'000u);
}

TEST(RefusedText, ValueThatIsNotOneValue) {
  for (const char* value : {"", "1 2", "{", "]", "\"", ","}) {
    EXPECT_THROW(set_top_level_key("{}", "q", value), InputError) << value;
  }
}

// ---------------------------------------------------------------- properties over generated objects

struct Style {
  std::string before_key;
  std::string colon;
  std::string comma;
  std::string end;
};

const Style kStyles[] = {
    {"\n  ", ": ", ",", "\n"}, {"\n\t", ":", " ,", "\n"}, {"\r\n    ", " : ", ",", "\r\n"},
    {"", ":", ",", ""},        {" ", ": ", ",", " "},     {"\n \n   ", ":\n ", "\n,", ""}};

const char* const kValues[] = {"1",
                               "-1.5e-7",
                               "true",
                               "null",
                               "\"text\"",
                               "\"\\\"}{][,:\\\\\"",
                               "[]",
                               "{}",
                               "[1, [2, {}]]",
                               "{\"q\": {\"k0\": [1]}}",
                               "\"\"",
                               "\"\\u00e9\"",
                               "\"q\"",
                               "1E+400",
                               "{\n\"x\":\n1}"};
const char* const kOddValues[] = {"NaN", "-Infinity", "[Infinity, NaN]"};

std::string generate(std::mt19937& random, bool odd) {
  const Style& style = kStyles[random() % std::size(kStyles)];
  const std::size_t members = 1 + random() % 5;
  std::string text = "{";
  for (std::size_t i = 0; i < members; ++i) {
    if (i > 0) text += style.comma;
    const bool take_odd = odd && random() % 3 == 0;
    text += style.before_key;
    text += "\"k";
    text += std::to_string(i);
    text += '"';
    text += style.colon;
    text += take_odd ? kOddValues[random() % std::size(kOddValues)] : kValues[random() % std::size(kValues)];
  }
  return text + style.end + "}" + (random() % 2 == 0 ? "\n" : "");
}

TEST(AnyObject, SettingANewKeyAndRemovingItGivesTheSameBytes) {
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    const std::string text = generate(random, true);
    const std::string value = kValues[random() % std::size(kValues)];
    const std::string set = set_top_level_key(text, "q", value);
    EXPECT_EQ(remove_top_level_key(set, "q"), text);
    EXPECT_EQ(set_top_level_key(set, "q", value), set);
    if (value.find('\n') == std::string::npos) {
      EXPECT_EQ(find_top_level_key(set, "q"), value);
    }
    if (testing::Test::HasFailure()) FAIL() << text;
  }
}

TEST(AnyObject, ReplacingAValueAndPuttingItBackGivesTheSameBytes) {
  std::mt19937 random(2);
  for (int i = 0; i < 5000; ++i) {
    const std::string text = generate(random, true);
    const std::string value(*find_top_level_key(text, "k0"));
    if (value.find('\n') != std::string::npos) continue;  // its lines would be moved in again
    const std::string set = set_top_level_key(text, "k0", "[7]");
    EXPECT_EQ(find_top_level_key(set, "k0"), "[7]");
    EXPECT_EQ(set_top_level_key(set, "k0", value), text);
    if (testing::Test::HasFailure()) FAIL() << text;
  }
}

// What another parser sees is the same edit made on its own data.
TEST(AnyObject, AJsonParserSeesTheSameEdit) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text = generate(random, false);
    for (std::size_t huge; (huge = text.find("1E+400")) != std::string::npos;) text.replace(huge, 6, 6, '1');
    auto expected = nlohmann::ordered_json::parse(text);
    const std::string key = random() % 2 == 0 ? "q" : "k" + std::to_string(random() % 5);
    expected[key] = nlohmann::ordered_json::parse(kValue);
    EXPECT_EQ(nlohmann::ordered_json::parse(set_top_level_key(text, key, kValue)).dump(), expected.dump())
        << text;
    expected.erase(key);
    const std::string removed = remove_top_level_key(text, key);
    EXPECT_EQ(nlohmann::ordered_json::parse(removed).dump(), expected.dump()) << text;
  }
}

}  // namespace
}  // namespace afp
