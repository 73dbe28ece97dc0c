// Plan: which Encoding every tensor of a checkpoint gets, or that it is kept as it is, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "afp/encoding.hpp"
#include "afp/objective.hpp"
#include "afp/tensor.hpp"

namespace afp {

struct PlanEntry {
  std::string name;
  std::optional<DType> dtype;        // of the tensor the plan was made for; a plan written by hand
  std::optional<Shape> shape;        // may leave both out
  std::optional<Encoding> encoding;  // absent: kept
  std::string kept;                  // why it is kept, as "1-D"; empty otherwise
  std::uint64_t bytes = 0;           // predicted size of the data, scales included
  std::optional<double> cost;        // predicted, in the unit of the objective, where it was measured
  std::optional<double> squared_error;
};

struct Plan {
  std::vector<PlanEntry> tensors;  // in checkpoint order
  std::optional<Objective> objective;
  bool weighted = false;         // costs were weighted by an importance file
  std::string effort = "exact";  // how scales are searched when the plan is carried out; or "fast"
  std::uint32_t sample = 1;      // costs are estimates from one block in so many

  const PlanEntry* find(std::string_view name) const;  // null when absent
};

// {"afp_plan": 1, "objective"?, "weighted"?, "effort"?, "sample"?, "tensors": [
//  {"name", "dtype"?, "shape"?, "encoding"|"kept", "bytes"?, "cost"?, "squared_error"?}]}
// A person may change Encodings: what stands in bytes, cost and squared_error is for reading and decides
// nothing. parse_plan throws InputError that names `file` for anything else: unknown keys, duplicate names,
// malformed Encodings.
std::string to_json(const Plan& plan);
Plan parse_plan(std::string_view json, const std::string& file);

// What is asked for a tensor: an Encoding, or N bits of which the best Encoding is searched.
struct EncodingRequest {
  int bits = 4;
  Block block;
  ScaleKind scale = ScaleKind::ue4m3;
  std::optional<Encoding> encoding;  // given whole: the three above do not count

  // The Encodings to choose from: one, or under e8m0 every Format of `bits` bits.
  std::vector<Encoding> candidates() const;
};

// One rule about tensors, by regular expression (ECMAScript without back-references, found anywhere in the
// name).
struct Rule {
  enum class Action { keep, only, set };
  Action action = Action::keep;
  std::string pattern;
  std::optional<Encoding> encoding;  // of set

  // "keep REGEX", "only REGEX", "set REGEX=ENCODING", as a line of a rules file has it.
  static Rule parse(std::string_view text);
};
std::string to_string(const Rule& rule);  // what Rule::parse reads

// Lines of rules; empty lines and those that begin with '#' do not count. Errors name file and line.
std::vector<Rule> parse_rules(std::string_view text, const std::string& file);

// What each tensor is to become before anything is searched. Weight matrices (rank >= 2, a
// quantizable dtype, not empty) get `request`, but not embeddings and output heads, which are told
// by their names. Then the rules, in order, the last match wins: keep keeps what matches; only
// selects what matches, and where there is an only, nothing else is selected to begin with; set selects
// what matches and gives it an Encoding. Only and set may select vectors, embeddings and heads too; empty
// tensors are kept always. Throws UsageError for a malformed pattern, for one that matches no tensor (naming
// the nearest), and for a rule that selects a tensor that cannot be quantized.
struct Selection {
  std::optional<EncodingRequest> request;  // absent: kept
  std::string kept;
};
std::vector<Selection> select_tensors(const std::vector<TensorInfo>& tensors, const EncodingRequest& request,
                                      const std::vector<Rule>& rules);

}  // namespace afp
