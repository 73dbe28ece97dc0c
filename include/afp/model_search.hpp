// Choosing an Encoding for every tensor of a checkpoint: measure costs once, then solve for any budget.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/candidates.hpp"
#include "afp/checkpoint.hpp"
#include "afp/cost_table.hpp"
#include "afp/plan.hpp"
#include "afp/progress.hpp"
#include "afp/search.hpp"

namespace afp {

// Weights of the squared error per input channel: tensor name -> one number, not negative, a column of the
// tensor seen as rows x columns (see block_grid.hpp).
struct Importance {
  std::string file;  // for messages
  std::map<std::string, std::vector<float>> channels;

  // A safetensors file with an F32, F16 or BF16 vector NAME for every tensor NAME: of as many numbers as the
  // tensor has columns, or as its second dimension is long. Throws InputError for negative or non-finite
  // ones.
  static Importance read(const std::string& path);
};

struct CostRequest {
  CandidateSpace space;
  std::vector<Rule>
      rules;  // tensors that they keep are not measured, those they set have that candidate alone
  Objective objective = Objective::mse;
  Effort effort = Effort::exact;
  std::uint32_t sample = 1;
  std::optional<Importance> importance;  // of mse
  RunOptions run;
};

struct CostMeasurement {
  CostTable table;
  BackendUse backend;
  double read_seconds = 0.0, search_seconds = 0.0;  // busy, summed over threads
  double total_seconds = 0.0;
};
// Throws UsageError where objective and candidates do not go together (kl and kl-seed are of tensor blocks),
// InputError for non-finite weights and for an importance that lacks a tensor or has another length.
CostMeasurement measure_costs(const Checkpoint& input, const CostRequest& request);

struct ModelSearchOptions {
  std::vector<Rule> rules;
  // Of the table's candidates only those within: with these bits, blocks and, where it names them, scales and
  // exponent bits. Absent: all.
  std::optional<CandidateSpace> space;
  std::vector<std::string> ties;  // regular expressions: tensors that match one, with equal captured groups,
                                  // get one Encoding; so do tensors of equal data
  bool keep = false;              // a selected tensor may stay as it is, at no cost
  bool uniform = false;           // one Encoding for all selected tensors
  double penalty_exponent = 0.0;  // uniform: costs are multiplied by hardware_penalty to this power

  // At most one of these; none: the least cost whatever the size.
  std::optional<double> target_bpw;          // over the selected tensors, scales included
  std::optional<std::uint64_t> target_size;  // bytes of the weight files that are written
  std::optional<double> target_sqnr;  // dB over the selected tensors: the smallest that reaches it, of mse
  SearchOptions solver;
};

// One Encoding for all tensors that no rule pins.
struct UniformPoint {
  Encoding encoding;
  std::uint64_t bytes = 0;  // of the selected tensors, pinned ones too; so are the following
  double bpw = 0.0;
  double cost = 0.0;
  double squared_error = 0.0;
  double score = 0.0;  // what a uniform search compares: the cost without pinned tensors, times the penalty
};

// One corner of what all budgets buy.
struct ModelFrontPoint {
  std::uint64_t bytes = 0;  // of the selected tensors
  double bpw = 0.0;         // over them
  double cost = 0.0;
  double squared_error = 0.0;
};

struct ModelSearchResult {
  Plan plan;  // of all tensors, kept ones too, with predicted sizes and costs
  SearchResult search;
  bool minimizes_size =
      false;  // with target_sqnr: the search's bound, gap and trace are of bytes, not of costs
  std::size_t candidates = 0;                 // there were to choose from
  std::vector<UniformPoint> uniform;          // of a uniform search: what it chose among,
  std::optional<std::size_t> uniform_chosen;  // and which it took; absent: to keep the tensors
  std::vector<std::string> groups;            // of the search's rows: the name of the first tensor of each
  std::uint64_t budget = 0;                   // bytes of the selected tensors; 0: none
  std::uint64_t weights = 0;                  // in the selected tensors
  std::uint64_t selected_bytes = 0;           // they take
  std::uint64_t packed_bytes = 0;             // of all tensors
  std::uint64_t file_bytes = 0;               // of the weight files, headers included
  double signal = 0.0, squared_error = 0.0;   // over the selected tensors

  double bpw() const;
  double sqnr_db() const;
};
// Throws UsageError for a budget below the smallest possible size (saying what that is) and for tensors that
// the table lacks, InputError for a table of another model (naming the tensor).
ModelSearchResult search_model(const Checkpoint& input, const CostTable& table,
                               const ModelSearchOptions& options);

// The front over all budgets, and what one Encoding everywhere would cost: the columns of the table that
// every selected tensor has.
struct ModelFront {
  std::vector<ModelFrontPoint> mixed;
  std::vector<UniformPoint> uniform;
};
ModelFront model_front(const Checkpoint& input, const CostTable& table, const ModelSearchOptions& options,
                       std::size_t most = 200);

// The same names and shapes as the checkpoint, Encodings that fit: throws InputError that names `file` and
// the tensor otherwise. Sizes are computed anew.
void check_plan(Plan& plan, const Checkpoint& input, const std::string& file);

}  // namespace afp
