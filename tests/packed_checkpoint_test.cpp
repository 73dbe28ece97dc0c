// Opening packed checkpoints: what a whole one holds, and every contradiction between its files.
#include "afp/packed_checkpoint.hpp"

#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "packed_folder.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

class Packed : public testing::Test {
 protected:
  fs::path path() const { return folder_ / "packed"; }
  void refused(const std::string& file, const std::string& message) const {
    expect_error<InputError>([&] { PackedCheckpoint::open(path()); },
                             (file.empty() ? path() : path() / file).string() + ": " + message);
  }
  // The example, changed by `change` after its manifest was made.
  template <class Change>
  void write_changed(const Change& change) const {
    ExampleCheckpoint changed = example();
    const Manifest manifest = changed.manifest();
    change(changed);
    changed.write_packed(path(), manifest);
  }

  TempFolder folder_;
};

TEST_F(Packed, GivesEntriesInTheSourcesOrder) {
  example().write_packed(path());
  const PackedCheckpoint packed = PackedCheckpoint::open(path());
  EXPECT_EQ(packed.effort(), "exact");
  ASSERT_EQ(packed.entries().size(), example().tensors.size());
  for (std::size_t i = 0; i < packed.entries().size(); ++i) {
    const PackedEntry& entry = packed.entries()[i];
    const ExampleTensor& expected = example().tensors[i];
    EXPECT_EQ(entry.source.name, expected.info.name);
    EXPECT_EQ(entry.source.shape, expected.info.shape);
    EXPECT_EQ(entry.source.dtype, expected.info.dtype);
    EXPECT_EQ(entry.source_digest, digest_of(expected.bytes));
    EXPECT_EQ(entry.kept, expected.entry.kept);
    EXPECT_EQ(packed.find(expected.info.name), &entry);
    const auto name_of = [&](std::size_t index) { return packed.checkpoint().tensors()[index].name; };
    EXPECT_EQ(name_of(entry.data), expected.info.name);
    EXPECT_EQ(entry.encoding.has_value(), expected.packed.has_value());
    if (!entry.encoding) continue;
    EXPECT_EQ(*entry.encoding, expected.packed->encoding);
    EXPECT_EQ(entry.squared_error, expected.packed->squared_error);
    EXPECT_EQ(name_of(entry.scales), expected.info.name + "_scale");
    EXPECT_EQ(entry.tensor_scale.has_value(), entry.encoding->scale == ScaleKind::ue4m3);
    if (!entry.tensor_scale) continue;
    EXPECT_EQ(name_of(*entry.tensor_scale), expected.info.name + "_scale_2");
  }
  EXPECT_EQ(packed.find("a_scale"), nullptr);
  EXPECT_TRUE(is_packed_checkpoint(path()));
}

TEST_F(Packed, WithoutAConfigTheManifestIsEnough) {
  example().write_packed(path());
  fs::remove(path() / "config.json");
  EXPECT_EQ(PackedCheckpoint::open(path()).entries().size(), example().tensors.size());
}

TEST_F(Packed, RefusesWhatIsNone) {
  refused("", "no such folder");
  write_bytes(path(), "x");
  refused("", "is a file; a packed checkpoint is a folder");
  fs::remove(path());
  example().write_source(path());
  EXPECT_FALSE(is_packed_checkpoint(path()));
  refused("", "is not a packed checkpoint: it has no afp_manifest.json");
}

TEST_F(Packed, RefusesAnUnfinishedRun) {
  example().write_packed(path());
  fs::create_directory(path() / ".afp-partial");
  refused("", "is incomplete: the run that wrote it was interrupted; run the same command again");
  fs::remove(path() / "afp_manifest.json");
  refused("", "is incomplete: the run that wrote it was interrupted; run the same command again");
}

TEST_F(Packed, TheConfigMustSayAfp) {
  example().write_packed(path());
  const std::string message =
      "has no quantization_config with the quant_method 'afp', though there is a manifest beside it";
  for (const char* config :
       {"{}", R"({"quantization_config": {"quant_method": "gptq"}})", R"({"quantization_config": []})",
        R"({"quantization_config": {"quant_method": 1}})"}) {
    write_bytes(path() / "config.json", config);
    refused("config.json", message);
  }
}

TEST_F(Packed, AnEditedManifestIsRefused) {
  example().write_packed(path());
  std::string manifest = read_bytes(path() / kManifestFile);
  manifest.replace(manifest.find("1-D"), 3, "2-D");
  write_bytes(path() / kManifestFile, manifest);
  refused(kManifestFile, "the manifest was changed after it was written: its text and its digest disagree");
}

TEST_F(Packed, AMissingTensorIsNamed) {
  write_changed([](ExampleCheckpoint& c) {
    std::erase_if(c.tensors, [](const auto& t) { return t.info.name == "n"; });
  });
  refused("", "tensor 'n': is missing, though the manifest has it");
}

TEST_F(Packed, AnExtraTensorIsNamed) {
  write_changed([](ExampleCheckpoint& c) {
    ExampleTensor extra = c.tensor("n");
    extra.info.name = "extra";
    c.tensors.push_back(extra);
  });
  refused(ExampleCheckpoint::kShards[1], "tensor 'extra': is not in the manifest");
}

TEST_F(Packed, ShapesAndTypesMustBeThoseOfTheGrid) {
  write_changed([](ExampleCheckpoint& c) { c.tensor("n").info.dtype = DType::F16; });
  refused(ExampleCheckpoint::kShards[1], "tensor 'n': is F16 [7], expected BF16 [7] from the manifest");
  write_changed([](ExampleCheckpoint& c) {
    PackedTensor& packed = *c.tensor("a").packed;
    packed.source.shape = {4, 100};
    packed.codes.resize(packed.grid().code_bytes());
    packed.scales.resize(packed.grid().scale_count());
  });
  refused(ExampleCheckpoint::kShards[0],
          "tensor 'a': is U8 [4, 7, 8], expected U8 [5, 7, 8] from the manifest");
  write_changed([](ExampleCheckpoint& c) {  // the codes fit, the scales do not
    PackedTensor& packed = *c.tensor("b").packed;
    packed.encoding.block = {BlockKind::tensor, 0};
    packed.scales.resize(1);
  });
  refused(ExampleCheckpoint::kShards[0],
          "tensor 'b_scale': is U8 [1, 1], expected U8 [3, 1] from the manifest");
}

TEST_F(Packed, TheTensorScaleMustFitTheScaleKind) {
  write_changed(
      [](ExampleCheckpoint& c) { c.tensor("a").packed->encoding = parse_encoding("E2M1/16/e8m0"); });
  refused("", "tensor 'a_scale_2': is missing, though the manifest has it");
  write_changed([](ExampleCheckpoint& c) { c.tensor("b").packed->encoding.scale = ScaleKind::ue4m3; });
  refused(ExampleCheckpoint::kShards[0], "tensor 'b_scale_2': is not in the manifest");
}

TEST_F(Packed, ATensorBelongsToOneEntry) {
  ExampleCheckpoint changed = example();
  Manifest manifest = changed.manifest();
  ManifestEntry twin = manifest.tensors.back();
  twin.source = {"a_scale", DType::U8, {5, 7}};
  twin.encoding.reset();
  twin.kept = "dtype U8";
  manifest.tensors.push_back(twin);
  changed.write_packed(path(), manifest);
  refused(ExampleCheckpoint::kShards[0], "tensor 'a_scale': belongs to two tensors of the manifest");
}

}  // namespace
}  // namespace afp
