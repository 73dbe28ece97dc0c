// Plans as text: bodies of afp/plan.hpp, the rules and the selection apart.
#include "afp/plan.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "afp/error.hpp"
#include "host/checkpoint/json_object.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/strict_json.hpp"
#include "host/checkpoint/tensor_json.hpp"
#include "host/core/search_json.hpp"

namespace afp {
namespace {

constexpr std::uint64_t kPlanVersion = 1;

PlanEntry parse_entry(const nlohmann::json& value, std::size_t index, const std::string& file) {
  JsonObject object(value, element_name("tensors", index), file);
  PlanEntry entry;
  entry.name = object.text("name");
  object.rename("tensor " + in_quotes(entry.name));
  if (object.has("dtype")) entry.dtype = parse_dtype_key(object);
  if (object.has("shape")) entry.shape = parse_shape_key(object);
  if (object.has("encoding") == object.has("kept")) object.fail("expected either 'encoding' or 'kept'");
  if (object.has("encoding"))
    entry.encoding = parse_encoding_key(object);
  else
    entry.kept = object.text("kept");
  if (object.has("bytes")) entry.bytes = object.unsigned_number("bytes");
  if (object.has("cost")) entry.cost = parse_sum(object, "cost");
  if (object.has("squared_error")) entry.squared_error = parse_sum(object, "squared_error");
  object.refuse_other_keys();
  return entry;
}

nlohmann::ordered_json to_line(const PlanEntry& entry) {
  nlohmann::ordered_json line;
  line["name"] = entry.name;
  if (entry.dtype) line["dtype"] = dtype_name(*entry.dtype);
  if (entry.shape) line["shape"] = *entry.shape;
  if (entry.encoding)
    line["encoding"] = to_string(*entry.encoding);
  else
    line["kept"] = entry.kept;
  line["bytes"] = entry.bytes;
  for (const auto& [key, value] :
       {std::pair("cost", entry.cost), std::pair("squared_error", entry.squared_error)}) {
    if (!value) continue;
    if (!std::isfinite(*value))
      throw InputError("its " + std::string(key) + " is not finite", {}, entry.name);
    line[key] = *value;
  }
  return line;
}

}  // namespace

const PlanEntry* Plan::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const PlanEntry& entry) { return entry.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::string to_json(const Plan& plan) {
  std::vector<nlohmann::ordered_json> lines;
  for (const PlanEntry& entry : plan.tensors) lines.push_back(to_line(entry));
  std::string head = "{\"afp_plan\": " + std::to_string(kPlanVersion);
  if (plan.objective) head += ", \"objective\": \"" + std::string(to_string(*plan.objective)) + "\"";
  if (plan.weighted) head += ", \"weighted\": true";
  head += ", \"effort\": " + dump_line(plan.effort);
  if (plan.sample != 1) head += ", \"sample\": " + std::to_string(plan.sample);
  return head + ", \"tensors\": " + lines_in_brackets(lines) + "}\n";
}

Plan parse_plan(std::string_view json, const std::string& file) {
  const nlohmann::json document = parse_strict_json(json, file);
  JsonObject object(document, "", file);
  require_version(object, "afp_plan", "plan", kPlanVersion);
  Plan plan;
  std::unordered_set<std::string> names;
  if (object.has("objective")) plan.objective = parse_objective_key(object);
  if (object.has("weighted")) plan.weighted = object.boolean("weighted");
  if (object.has("effort")) plan.effort = parse_effort_key(object);
  if (object.has("sample")) plan.sample = parse_sample_key(object);
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
