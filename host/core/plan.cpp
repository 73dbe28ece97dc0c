// Plans as text: bodies of afp/plan.hpp, the rules and the selection apart.
#include "afp/plan.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "afp/error.hpp"
#include "host/checkpoint/json_object.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/strict_json.hpp"

namespace afp {
namespace {

constexpr std::uint64_t kPlanVersion = 1;

PlanEntry parse_entry(const nlohmann::json& value, std::size_t index, const std::string& file) {
  JsonObject object(value, element_name("tensors", index), file);
  PlanEntry entry;
  entry.name = object.text("name");
  if (object.has("encoding") == object.has("kept")) object.fail("expected either 'encoding' or 'kept'");
  if (object.has("encoding")) {
    try {
      entry.encoding = parse_encoding(object.text("encoding"));
    } catch (const UsageError& error) {
      object.fail(error.what());
    }
  } else {
    entry.kept = object.text("kept");
  }
  entry.bytes = object.unsigned_number("bytes");
  if (object.has("cost")) {
    entry.cost = object.number("cost");
    if (*entry.cost < 0.0) object.fail("key 'cost' is negative");
  }
  object.refuse_other_keys();
  return entry;
}

}  // namespace

const PlanEntry* Plan::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const PlanEntry& entry) { return entry.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::string to_json(const Plan& plan) {
  std::vector<nlohmann::ordered_json> lines;
  for (const PlanEntry& entry : plan.tensors) {
    nlohmann::ordered_json& line = lines.emplace_back();
    line["name"] = entry.name;
    if (entry.encoding) {
      line["encoding"] = to_string(*entry.encoding);
    } else {
      line["kept"] = entry.kept;
    }
    line["bytes"] = entry.bytes;
    if (entry.cost) {
      if (!std::isfinite(*entry.cost)) throw InputError("its cost is not finite", {}, entry.name);
      line["cost"] = *entry.cost;
    }
  }
  return "{\"afp_plan\": " + std::to_string(kPlanVersion) + ", \"tensors\": " + lines_in_brackets(lines) +
         "}\n";
}

Plan parse_plan(std::string_view json, const std::string& file) {
  const nlohmann::json document = parse_strict_json(json, file);
  JsonObject object(document, "", file);
  if (!object.has("afp_plan")) object.fail("is no plan: key 'afp_plan' is missing");
  const std::uint64_t version = object.unsigned_number("afp_plan");
  if (version != kPlanVersion) {
    object.fail("is a plan of version " + std::to_string(version) + ", expected " +
                std::to_string(kPlanVersion));
  }
  Plan plan;
  std::unordered_set<std::string> names;
  for (const nlohmann::json& value : object.array("tensors")) {
    PlanEntry entry = parse_entry(value, plan.tensors.size(), file);
    if (!names.insert(entry.name).second) {
      object.fail(element_name("tensors", plan.tensors.size()) + ": the name " + in_quotes(entry.name) +
                  " appears twice");
    }
    plan.tensors.push_back(std::move(entry));
  }
  object.refuse_other_keys();
  return plan;
}

std::vector<Encoding> EncodingRequest::candidates() const {
  if (encoding) return {*encoding};
  if (bits < kMinBits || bits > kMaxBits) {
    throw UsageError(std::to_string(bits) + " bits a weight; expected " + std::to_string(kMinBits) + " to " +
                     std::to_string(kMaxBits));
  }
  if (const std::optional<Encoding> one = default_encoding(bits, block, scale)) return {*one};
  std::vector<Encoding> encodings;
  for (const Format format : formats_of(bits)) encodings.push_back({format, std::nullopt, block, scale});
  return encodings;
}

}  // namespace afp
