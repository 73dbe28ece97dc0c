// From a search request to its result: costs measured or read, the search, what the report shows of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "afp/checkpoint.hpp"
#include "afp/model_search.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/search_arguments.hpp"

namespace afp::cli {

// One answer to the question of one Encoding for the whole model.
struct UniformChoice {
  int bits = 0, exponent_bits = 0;
  std::string encoding;  // empty: the original's Format of that many bits
  double cost = 0.0;
  double penalty = 0.0;
  double score = 0.0;  // what is compared: the cost times the penalty to its power
};

struct SearchRun {
  CostTable table;
  ModelSearchResult result;
  std::optional<double> measure_seconds;  // absent: the costs were read from a file
  std::optional<BackendUse> backend;      // that measured; absent: none did
  std::vector<UniformChoice> uniform;     // of --uniform and the preset
  std::optional<std::size_t> uniform_chosen;

  // Of the preset: what the original chooses under each exponent of its penalty, and of how many tensors.
  struct OriginalChoice {
    double penalty_exponent;
    int bits, exponent_bits;
    double cost;
  };
  std::vector<OriginalChoice> original_choices;
  std::size_t swept_tensors = 0;
};

// Refuses, before any work, files that could not be written at the end, that are files of the input, that are
// the same twice, or that exist already; with `force`, and where a cost table takes the place of one, they
// may. `plan` is the plan's, empty where none is written.
void check_search_files(const Checkpoint& input, const SearchRequest& request, const std::string& plan,
                        bool force);

// Measures (showing progress) or reads costs, saves them where asked to, and searches.
SearchRun run_search(const Checkpoint& input, const SearchRequest& request, const RunOptions& run,
                     ProgressMode progress);

// Writes the report of it where asked to. `command` is the command line as typed.
void write_report(const Checkpoint& input, const SearchRequest& request, const SearchRun& run,
                  const RunOptions& options, const std::string& command);

}  // namespace afp::cli
