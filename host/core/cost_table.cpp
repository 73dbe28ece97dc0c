// Cost tables as text: bodies of afp/cost_table.hpp. One line a tensor, always the same bytes for the same
// table.
#include "afp/cost_table.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "afp/error.hpp"
#include "host/checkpoint/json_object.hpp"
#include "host/checkpoint/quote.hpp"
#include "host/checkpoint/sealed_text.hpp"
#include "host/checkpoint/strict_json.hpp"
#include "host/checkpoint/tensor_json.hpp"
#include "host/core/search_json.hpp"

namespace afp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kCostTableVersion = 1;

// Whether squared errors are told apart from costs.
bool has_errors(const CostTable& table) {
  return table.objective != Objective::mse || table.weighted;
}

Json number_or_null(const std::optional<CandidateCost>& candidate, double CandidateCost::*member,
                    const std::string& tensor) {
  if (!candidate) return nullptr;
  const double value = (*candidate).*member;
  if (!std::isfinite(value) || value < 0.0)
    throw InputError("a cost is no finite number of 0 or more", {}, tensor);
  return value;
}

Json to_line(const TensorCosts& row, bool with_errors) {
  Json line = tensor_line(row.tensor);
  line["digest"] = row.digest;
  line["signal"] = row.signal;
  const auto list = [&](double CandidateCost::*member) {
    Json values = Json::array();
    for (const auto& candidate : row.candidates)
      values.push_back(number_or_null(candidate, member, row.tensor.name));
    return values;
  };
  line["costs"] = list(&CandidateCost::cost);
  if (with_errors) line["squared_errors"] = list(&CandidateCost::squared_error);
  return line;
}

// The list `key`: a number, not negative, or null for each of `count` candidates.
std::vector<std::optional<double>> parse_list(JsonObject& object, const std::string& key, std::size_t count) {
  const nlohmann::json& array = object.array(key);
  if (array.size() != count)
    object.fail("key " + in_quotes(key) + " has " + std::to_string(array.size()) + " elements, expected " +
                std::to_string(count) + ", one a candidate");
  std::vector<std::optional<double>> values;
  for (const nlohmann::json& value : array) {
    if (value.is_null()) {
      values.emplace_back();
      continue;
    }
    if (!value.is_number() || !(value.get<double>() >= 0.0))
      object.fail("key " + in_quotes(key) + " holds something that is no number of 0 or more");
    values.emplace_back(value.get<double>());
  }
  return values;
}

TensorCosts parse_row(const nlohmann::json& value, const CostTable& table, const std::string& file) {
  JsonObject object(value, element_name("tensors", table.tensors.size()), file);
  TensorCosts row;
  row.tensor = parse_tensor(object);
  row.digest = object.text("digest");
  if (!is_digest(row.digest)) object.fail("key 'digest' is no digest of 32 hexadecimal digits");
  row.signal = parse_sum(object, "signal");
  const std::size_t count = table.candidates.size();
  const std::vector<std::optional<double>> costs = parse_list(object, "costs", count);
  const std::vector<std::optional<double>> errors =
      has_errors(table) ? parse_list(object, "squared_errors", count) : costs;
  for (std::size_t c = 0; c < count; ++c) {
    if (costs[c].has_value() != errors[c].has_value())
      object.fail("'costs' and 'squared_errors' do not agree on what was measured");
    row.candidates.push_back(costs[c] ? std::optional(CandidateCost{*costs[c], *errors[c]}) : std::nullopt);
  }
  object.refuse_other_keys();
  return row;
}

std::vector<Encoding> parse_candidate_list(JsonObject& object) {
  std::vector<Encoding> candidates;
  for (const nlohmann::json& value : object.array("candidates")) {
    if (!value.is_string()) object.fail("key 'candidates' holds something that is no Encoding");
    try {
      candidates.push_back(parse_encoding(value.get_ref<const std::string&>()));
    } catch (const UsageError& error) {
      object.fail(error.what());
    }
    if (std::find(candidates.begin(), candidates.end() - 1, candidates.back()) != candidates.end() - 1)
      object.fail("the candidate " + to_string(candidates.back()) + " appears twice");
  }
  return candidates;
}

}  // namespace

const TensorCosts* CostTable::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorCosts& row) { return row.tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::optional<std::size_t> CostTable::column(const Encoding& encoding) const {
  const auto found = std::find(candidates.begin(), candidates.end(), encoding);
  if (found == candidates.end()) return std::nullopt;
  return static_cast<std::size_t>(found - candidates.begin());
}

std::string to_json(const CostTable& table) {
  Json candidates = Json::array();
  for (const Encoding& encoding : table.candidates) candidates.push_back(to_string(encoding));
  std::vector<Json> lines;
  for (const TensorCosts& row : table.tensors) lines.push_back(to_line(row, has_errors(table)));
  return sealed(
      "{\n\"afp_costs\": " + std::to_string(kCostTableVersion) + ",\n\"objective\": \"" +
      std::string(to_string(table.objective)) + "\",\n\"weighted\": " + (table.weighted ? "true" : "false") +
      ",\n\"effort\": " + dump_line(table.effort) + ",\n\"sample\": " + std::to_string(table.sample) +
      ",\n\"candidates\": " + dump_line(candidates) + ",\n\"tensors\": " + lines_in_brackets(lines) + ",\n");
}

CostTable parse_cost_table(std::string_view json, const std::string& file) {
  // What is no cost table at all should hear that rather than that its digest is wrong.
  if (json.find("\"afp_costs\"") == std::string_view::npos)
    throw InputError("is no cost table: key 'afp_costs' is missing", file);
  require_sealed(json, "cost table", file);
  const nlohmann::json document = parse_strict_json(json, file);
  JsonObject object(document, "", file);
  require_version(object, "afp_costs", "cost table", kCostTableVersion);
  CostTable table;
  table.file = file;
  table.objective = parse_objective_key(object);
  table.weighted = object.boolean("weighted");
  table.effort = parse_effort_key(object);
  table.sample = parse_sample_key(object);
  table.candidates = parse_candidate_list(object);
  std::unordered_set<std::string> names;
  for (const nlohmann::json& value : object.array("tensors")) {
    TensorCosts row = parse_row(value, table, file);
    if (!names.insert(row.tensor.name).second)
      object.fail(element_name("tensors", table.tensors.size()) + ": the name " + in_quotes(row.tensor.name) +
                  " appears twice");
    table.tensors.push_back(std::move(row));
  }
  (void)object.text("digest");
  object.refuse_other_keys();
  return table;
}

}  // namespace afp
