// The options that say what is searched: budget, candidates, objective, method. `afp search` has them all in
// its help, `afp quantize` takes the same ones.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "afp/model_search.hpp"
#include "host/cli/encoding_arguments.hpp"

namespace afp::cli {

struct SearchRequest {
  CostRequest costs;  // but for run
  ModelSearchOptions model;
  std::optional<std::string> costs_file, importance_file, save_costs_file, report_file;
  bool original = false;                     // the preset iccv2021: the original's own question
  std::string candidates_text, budget_text;  // for people; no budget: empty
};

struct SearchArguments {
  std::optional<std::string> target_bpw, target_size, target_sqnr, candidates, objective, method, seed,
      chains, importance, sample, penalty_exponent, preset, costs, save_costs, report;
  std::vector<std::string> ties;
  bool uniform = false;

  enum class Explained { no, yes };  // whether the help says what they mean
  void declare_budget(CommandLine& command, Explained explained);
  void declare_search(CommandLine& command, Explained explained);
  void declare_files(CommandLine& command, Explained explained);
  // All of them, named in the help but not explained.
  void declare_briefly(CommandLine& command);

  bool any() const;  // whether one was given

  // Throws UsageError for values that make no sense. Reads the importance file.
  SearchRequest check(const CommandLine& command, const EncodingArguments& encoding) const;
};

}  // namespace afp::cli
