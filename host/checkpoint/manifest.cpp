// Bodies of manifest.hpp. The text has one line a tensor, always the same bytes for the same manifest:
//
//     {
//     "format": "afp",
//     "version": 1,
//     "effort": "exact",
//     "tensors": [
//     {"name":"w","dtype":"BF16","shape":[64,32],"digest":"...","encoding":"E2M1/32/e8m0","codes_digest":"...",...},
//     {"name":"b","dtype":"BF16","shape":[64],"digest":"...","kept":"1-D"}
//     ],
//     "digest": "XXH3-128 of everything above this line"
//     }
#include "host/checkpoint/manifest.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "afp/block_grid.hpp"
#include "afp/error.hpp"
#include "host/checkpoint/json_object.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/sealed_text.hpp"
#include "host/checkpoint/strict_json.hpp"
#include "host/checkpoint/tensor_json.hpp"

namespace afp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kManifestVersion = 1;
void require_sum(double value, const char* what, const std::string& tensor) {
  if (!std::isfinite(value) || value < 0.0)
    throw InputError(std::string(what) + " is not a finite sum", {}, tensor);
}

Json to_line(const ManifestEntry& entry) {
  Json line = tensor_line(entry.source);
  line["digest"] = entry.source_digest;
  if (!entry.encoding) {
    line["kept"] = entry.kept;
    return line;
  }
  require_sum(entry.squared_error, "squared_error", entry.source.name);
  require_sum(entry.signal, "signal", entry.source.name);
  line["encoding"] = to_string(*entry.encoding);
  line["codes_digest"] = entry.codes_digest;
  line["scales_digest"] = entry.scales_digest;
  line["squared_error"] = entry.squared_error;
  line["signal"] = entry.signal;
  return line;
}

std::string to_lines(const std::vector<ManifestEntry>& entries) {
  std::vector<Json> lines;
  for (const ManifestEntry& entry : entries) lines.push_back(to_line(entry));
  return lines_in_brackets(lines);
}

std::string digest_text(JsonObject& object, const std::string& key) {
  const std::string& text = object.text(key);
  if (!is_digest(text))
    object.fail("key " + in_quotes(key) + " is " + in_quotes(text) + ", expected 32 hexadecimal digits");
  return text;
}

// What only holds if dtype, shape and Encoding go together.
void check_sizes(const ManifestEntry& entry, const JsonObject& object) {
  try {
    (void)entry.source.bytes();
    if (entry.encoding) (void)BlockGrid(entry.encoding->block, entry.encoding->bits(), entry.source.shape);
  } catch (const InputError& error) {
    object.fail(error.what());
  }
}

ManifestEntry parse_entry(const nlohmann::json& value, std::size_t index, const std::string& file) {
  JsonObject object(value, element_name("tensors", index), file);
  ManifestEntry entry;
  entry.source = parse_tensor(object);
  entry.source_digest = digest_text(object, "digest");
  if (object.has("encoding") == object.has("kept")) object.fail("expected either 'encoding' or 'kept'");
  if (object.has("kept")) {
    entry.kept = object.text("kept");
  } else {
    entry.encoding = parse_encoding_key(object);
    if (!is_quantizable(entry.source.dtype))
      object.fail("has an Encoding, but the dtype " + std::string(dtype_name(entry.source.dtype)));
    entry.codes_digest = digest_text(object, "codes_digest");
    entry.scales_digest = digest_text(object, "scales_digest");
    entry.squared_error = parse_sum(object, "squared_error");
    entry.signal = parse_sum(object, "signal");
  }
  check_sizes(entry, object);
  object.refuse_other_keys();
  return entry;
}

std::vector<ManifestEntry> parse_lines(const nlohmann::json& array, const std::string& file) {
  std::vector<ManifestEntry> entries;
  std::unordered_set<std::string> names;
  for (const nlohmann::json& value : array) {
    ManifestEntry entry = parse_entry(value, entries.size(), file);
    if (!names.insert(entry.source.name).second) {
      throw InputError(element_name("tensors", entries.size()) + ": the name " +
                           in_quotes(entry.source.name) + " appears twice",
                       file);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

// The module that a parameter belongs to, which is how compressed-tensors names its targets.
std::string module_name(std::string_view tensor) {
  constexpr std::string_view kWeight = ".weight";
  if (tensor.ends_with(kWeight)) tensor.remove_suffix(kWeight.size());
  return std::string(tensor);
}

Json weights_scheme(const Encoding& encoding) {
  Json weights;
  weights["num_bits"] = encoding.bits();
  weights["type"] = "float";
  switch (encoding.block.kind) {
    case BlockKind::tensor:
      weights["strategy"] = "tensor";
      break;
    case BlockKind::row:
      weights["strategy"] = "channel";
      break;
    case BlockKind::small:
      weights["strategy"] = "group";
      break;
  }
  weights["group_size"] = encoding.block.kind == BlockKind::small ? Json(encoding.block.size) : Json(nullptr);
  weights["symmetric"] = true;
  weights["encoding"] = to_string(encoding);
  return weights;
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  return sealed("{\n\"format\": \"afp\",\n\"version\": " + std::to_string(kManifestVersion) +
                ",\n\"effort\": " + dump_line(manifest.effort) +
                ",\n\"tensors\": " + to_lines(manifest.tensors) + ",\n");
}

Manifest parse_manifest(std::string_view text, const std::string& file) {
  require_sealed(text, "manifest", file);
  const nlohmann::json document = parse_strict_json(text, file);
  JsonObject object(document, "", file);
  if (object.text("format") != "afp")
    object.fail("format is " + in_quotes(object.text("format")) + ", expected 'afp'");
  const std::uint64_t version = object.unsigned_number("version");
  if (version != kManifestVersion) {
    object.fail("is a manifest of version " + std::to_string(version) + ", expected " +
                std::to_string(kManifestVersion));
  }
  Manifest manifest;
  manifest.effort = object.text("effort");
  if (manifest.effort != "exact" && manifest.effort != "fast")
    object.fail("effort is " + in_quotes(manifest.effort) + ", expected 'exact' or 'fast'");
  manifest.tensors = parse_lines(object.array("tensors"), file);
  (void)object.text("digest");
  object.refuse_other_keys();
  return manifest;
}

std::string entries_to_json(const std::vector<ManifestEntry>& entries) {
  return to_lines(entries) + "\n";
}

std::vector<ManifestEntry> parse_entries(std::string_view text, const std::string& file) {
  const nlohmann::json document = parse_strict_json(text, file);
  if (!document.is_array())
    throw InputError("is " + std::string(document.type_name()) + ", expected an array", file);
  return parse_lines(document, file);
}

std::string quantization_config(const Manifest& manifest) {
  std::vector<std::pair<Encoding, Json>> groups;  // targets, in order of first appearance
  Json ignore = Json::array();
  for (const ManifestEntry& entry : manifest.tensors) {
    const std::string module = module_name(entry.source.name);
    if (!entry.encoding) {
      ignore.push_back(module);
      continue;
    }
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == *entry.encoding; });
    if (group == groups.end()) group = groups.insert(groups.end(), {*entry.encoding, Json::array()});
    group->second.push_back(module);
  }
  Json config;
  config["quant_method"] = "afp";
  config["format"] = "afp-packed";
  config["config_groups"] = Json::object();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    Json& scheme = config["config_groups"]["group_" + std::to_string(g)];
    scheme["targets"] = std::move(groups[g].second);
    scheme["weights"] = weights_scheme(groups[g].first);
    scheme["input_activations"] = nullptr;
    scheme["output_activations"] = nullptr;
  }
  config["ignore"] = std::move(ignore);
  return dump_indented(config);
}

}  // namespace afp
