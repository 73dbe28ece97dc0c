// The manifest as text: fixed bytes, an exact way back, and whatever was edited or is malformed.
#include "host/checkpoint/manifest.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "host/checkpoint/digest.hpp"

namespace afp {
namespace {

const std::string kA(32, 'a'), kB(32, 'b'), kC(32, 'c');

Manifest small_manifest() {
  ManifestEntry packed;
  packed.source = {"m.q.weight", DType::BF16, {4, 100}};
  packed.source_digest = kA;
  packed.encoding = parse_encoding("E1M2+E2M1/16/ue4m3");
  packed.codes_digest = kB;
  packed.scales_digest = kC;
  packed.squared_error = 0.1;
  packed.signal = 1e300;
  ManifestEntry kept;
  kept.source = {"n \"x\" \xc3\xa4", DType::I64, {}};
  kept.source_digest = kB;
  kept.kept = "1-D";
  return {"exact", {packed, kept}};
}

const std::string kLines = "[\n{\"name\":\"m.q.weight\",\"dtype\":\"BF16\",\"shape\":[4,100],\"digest\":\"" +
                           kA + "\",\"encoding\":\"E1M2+E2M1/16/ue4m3\",\"codes_digest\":\"" + kB +
                           "\",\"scales_digest\":\"" + kC +
                           "\",\"squared_error\":0.1,\"signal\":1e+300},\n{\"name\":\"n \\\"x\\\" "
                           "\xc3\xa4\",\"dtype\":\"I64\",\"shape\":[],"
                           "\"digest\":\"" +
                           kB + "\",\"kept\":\"1-D\"}\n]";

std::string sealed(const std::string& text) {
  Digest128 digest;
  digest.update(std::as_bytes(std::span(text)));
  return text + "\"digest\": \"" + digest.hex() + "\"\n}\n";
}

std::string with_lines(const std::string& lines) {
  return sealed("{\n\"format\": \"afp\",\n\"version\": 1,\n\"effort\": \"exact\",\n\"tensors\": " + lines +
                ",\n");
}

TEST(Manifest, HasFixedBytes) {
  EXPECT_EQ(to_json(small_manifest()), with_lines(kLines));
  EXPECT_EQ(to_json(Manifest{"exact", {}}), with_lines("[\n]"));
  EXPECT_EQ(entries_to_json(small_manifest().tensors), kLines + "\n");
}

TEST(Manifest, ReadsBackTheSame) {
  const Manifest manifest = parse_manifest(to_json(small_manifest()), "m");
  EXPECT_EQ(manifest.effort, "exact");
  ASSERT_EQ(manifest.tensors.size(), 2u);
  const ManifestEntry& packed = manifest.tensors[0];
  EXPECT_EQ(packed.source.name, "m.q.weight");
  EXPECT_EQ(packed.source.dtype, DType::BF16);
  EXPECT_EQ(packed.source.shape, (Shape{4, 100}));
  EXPECT_EQ(packed.source_digest, kA);
  EXPECT_EQ(packed.codes_digest, kB);
  EXPECT_EQ(packed.scales_digest, kC);
  EXPECT_EQ(packed.encoding, parse_encoding("E1M2+E2M1/16/ue4m3"));
  EXPECT_EQ(packed.squared_error, 0.1);
  EXPECT_EQ(packed.signal, 1e300);
  EXPECT_EQ(manifest.tensors[1].kept, "1-D");
  EXPECT_FALSE(manifest.tensors[1].encoding);
  EXPECT_EQ(to_json(manifest), to_json(small_manifest()));
  EXPECT_EQ(entries_to_json(parse_entries(kLines + "\n", "e")), kLines + "\n");
}

TEST(Manifest, IsItselfAJsonDocument) {
  const nlohmann::json document = nlohmann::json::parse(to_json(small_manifest()));
  EXPECT_EQ(document["format"], "afp");
  EXPECT_EQ(document["tensors"].size(), 2u);
}

TEST(Manifest, AnyEditedByteIsFound) {
  const std::string text = to_json(small_manifest());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string edited = text;
    edited[i] = static_cast<char>(edited[i] ^ 1);
    try {
      parse_manifest(edited, "m.json");
      ADD_FAILURE() << "byte " << i;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("m.json: the manifest was changed after it was written: "),
                std::string::npos)
          << error.what();
    }
  }
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_THROW(parse_manifest(text.substr(0, length), "m"), InputError) << length;
}

TEST(Manifest, SaysHowItWasChanged) {
  std::string text = to_json(small_manifest());
  const std::string changed = "m: the manifest was changed after it was written: ";
  expect_error<InputError>([&] { parse_manifest(text + "\n", "m"); },
                           changed + "it does not end with its digest");
  expect_error<InputError>([&] { parse_manifest("{}", "m"); }, changed + "it does not end with its digest");
  text.replace(text.find("0.1"), 3, "0.2");
  expect_error<InputError>([&] { parse_manifest(text, "m"); }, changed + "its text and its digest disagree");
}

TEST(Manifest, EveryFaultBehindAValidDigestIsNamed) {
  const std::string kept = R"("digest":")" + kA + R"(","kept":"")";
  const std::string packed =
      R"("codes_digest":")" + kA + R"(","scales_digest":")" + kA + R"(","squared_error":1,"signal":1)";
  const std::string begin = R"([{"name":"w","dtype":"F32","shape":[2,3],)";
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "key 'tensors' is '{}', expected an array"},
      {"[1]", "tensors[0]: is number, expected an object"},
      {R"([{"dtype":"F32"}])", "tensors[0]: key 'name' is missing"},
      {R"([{"name":"w","dtype":"F33","shape":[]}])", "tensors[0]: dtype 'F33' is unknown"},
      {R"([{"name":"w","dtype":"F32","shape":[-1]}])", "tensors[0]: shape holds something that is no size"},
      {R"([{"name":"w","dtype":"F32","shape":[4294967296,4294967296],)" + kept + "}]",
       "tensors[0]: shape [4294967296, 4294967296] has more elements than 64 bits can count"},
      {begin + R"("digest":"abc","kept":""}])",
       "tensors[0]: key 'digest' is 'abc', expected 32 hexadecimal digits"},
      {begin + R"("digest":")" + std::string(32, 'A') + R"(","kept":""}])",
       "tensors[0]: key 'digest' is '" + std::string(32, 'A') + "', expected 32 hexadecimal digits"},
      {begin + R"("digest":")" + kA + "\"}]", "tensors[0]: expected either 'encoding' or 'kept'"},
      {begin + kept + R"(,"encoding":"E2M1/row"}])", "tensors[0]: expected either 'encoding' or 'kept'"},
      {begin + kept + R"(,"note":1}])", "tensors[0]: key 'note' is unknown"},
      {begin + kept + R"(,"signal":1}])", "tensors[0]: key 'signal' is unknown"},
      {begin + R"("digest":")" + kA + R"(","encoding":"E2M1/17",)" + packed + "}]",
       "tensors[0]: not a block: '17'; expected tensor, row, 16, 32, 64 or 128"},
      {R"([{"name":"w","dtype":"I8","shape":[2],"digest":")" + kA + R"(","encoding":"E2M1/16",)" + packed +
           "}]",
       "tensors[0]: has an Encoding, but the dtype I8"},
      {begin + R"("digest":")" + kA + R"(","encoding":"E2M1/16"}])",
       "tensors[0]: key 'codes_digest' is missing"},
      {begin + R"("digest":")" + kA + R"(","encoding":"E2M1/16","codes_digest":")" + kA +
           R"(","scales_digest":")" + kA + R"(","squared_error":-1,"signal":1}])",
       "tensors[0]: key 'squared_error' is negative"},
      {begin + kept + "}," + begin.substr(1) + kept + "}]", "tensors[1]: the name 'w' appears twice"},
  };
  for (const auto& [lines, message] : cases) {
    SCOPED_TRACE(lines);
    expect_error<InputError>([&] { parse_manifest(with_lines(lines), "m"); }, "m: " + message);
    if (lines[0] == '[') expect_error<InputError>([&] { parse_entries(lines, "e"); }, "e: " + message);
  }
  expect_error<InputError>([] { parse_entries("{}", "e"); }, "e: is object, expected an array");
  const std::pair<std::string, std::string> heads[] = {
      {"{\n\"format\": \"x\",\n", "format is 'x', expected 'afp'"},
      {"{\n\"format\": \"afp\",\n\"version\": 2,\n", "is a manifest of version 2, expected 1"},
      {"{\n\"format\": \"afp\",\n\"version\": 1,\n\"effort\": \"some\",\n",
       "effort is 'some', expected 'exact' or 'fast'"},
      {"{\n\"format\": \"afp\",\n\"version\": 1,\n\"effort\": \"fast\",\n\"tensors\": [],\n\"more\": 1,\n",
       "key 'more' is unknown"},
      {"{\n\"format\": \"afp\",\n\"version\": 1,\n\"version\": 1,\n",
       "key 'version' appears twice in one object"},
  };
  for (const auto& [head, message] : heads)
    expect_error<InputError>([&] { parse_manifest(sealed(head), "m"); }, "m: " + message);
}

TEST(Manifest, WhatCannotBeWrittenIsRefused) {
  Manifest manifest = small_manifest();
  manifest.tensors[0].signal = std::numeric_limits<double>::quiet_NaN();
  expect_error<InputError>([&] { to_json(manifest); }, "tensor 'm.q.weight': signal is not a finite sum");
}

TEST(QuantizationConfig, HasTheShapeOfCompressedTensors) {
  Manifest manifest = small_manifest();
  ManifestEntry row = manifest.tensors[0];
  row.source.name = "m.k.weight";
  row.encoding = parse_encoding("E3M2/row");
  ManifestEntry second = manifest.tensors[0];
  second.source.name = "plain";
  ManifestEntry whole = manifest.tensors[0];
  whole.source.name = "t.weight";
  whole.encoding = parse_encoding("E2M1/tensor");
  manifest.tensors.insert(manifest.tensors.end(), {row, second, whole});
  const auto expected = nlohmann::json::parse(R"({
    "quant_method": "afp", "format": "afp-packed",
    "config_groups": {
      "group_0": {"targets": ["m.q", "plain"], "input_activations": null, "output_activations": null,
        "weights": {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 16, "symmetric": true,
                    "encoding": "E1M2+E2M1/16/ue4m3"}},
      "group_1": {"targets": ["m.k"], "input_activations": null, "output_activations": null,
        "weights": {"num_bits": 6, "type": "float", "strategy": "channel", "group_size": null, "symmetric": true,
                    "encoding": "E3M2/row/e8m0"}},
      "group_2": {"targets": ["t"], "input_activations": null, "output_activations": null,
        "weights": {"num_bits": 4, "type": "float", "strategy": "tensor", "group_size": null, "symmetric": true,
                    "encoding": "E2M1/tensor/e8m0"}}},
    "ignore": ["n \"x\" ä"]})");
  const std::string text = quantization_config(manifest);
  EXPECT_EQ(nlohmann::json::parse(text), expected);
  EXPECT_TRUE(text.starts_with(
      "{\n  \"quant_method\": \"afp\",\n  \"format\": \"afp-packed\",\n  \"config_groups\": {\n"));
  EXPECT_EQ(nlohmann::json::parse(quantization_config({"exact", {}}))["config_groups"],
            nlohmann::json::object());
}

}  // namespace
}  // namespace afp
