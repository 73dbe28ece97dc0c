// The HTML report of a search: one page that needs nothing else, made from plain data.
//
// report_html is a pure function: the same data, the same bytes. What is absent or empty in the data (a
// front, a trace, a histogram) has no section on the page. Text may hold anything, it is escaped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "afp/cost_table.hpp"
#include "afp/encoding.hpp"
#include "afp/model_search.hpp"
#include "afp/objective.hpp"
#include "afp/tensor.hpp"

namespace afp::cli {

struct ReportTensor {
  std::string name;
  Shape shape;
  std::optional<Encoding> encoding;  // absent: kept
  std::string kept;                  // why
  std::uint64_t bytes = 0;
  double signal = 0.0;                  // sum of the squared weights
  std::optional<double> squared_error;  // absent: not measured
};

// The weights of one tensor as its blocks see them, and what they were rounded to. All in units of the scale
// of the block that a weight is in, signs included.
struct ReportHistogram {
  struct CodePoint {
    double value = 0.0;
    std::uint64_t count = 0;  // of weights that took it
  };
  struct Codes {
    Format format;
    std::vector<CodePoint> points;  // by ascending value
  };
  std::string tensor;
  Encoding encoding;
  std::vector<double> edges;          // ascending, one more than counts
  std::vector<std::uint64_t> counts;  // of weights from edge to edge
  std::vector<Codes> codes;           // of one Format, or of the two of an Encoding that has two
  bool log_counts = false;            // counts on a logarithmic axis
};

// One answer to the question of one Format for the whole model.
struct ReportUniformChoice {
  int bits = 0, exponent_bits = 0;
  double cost = 0.0;
  std::optional<double> penalty;  // of the hardware
  double score = 0.0;             // what was compared: cost, times the penalty to its power
};

struct ReportData {
  std::string model;       // its name, as the title
  std::string command;     // that made the report, ready to paste
  std::string program;     // "afp 0.4.0 (66f95ba)"
  std::string method;      // "exact", "anneal", ...; empty: nothing was searched over the model
  std::string budget;      // as text: "4.25 bits per weight", "3.5GB"; empty: none
  std::string candidates;  // the space, as text
  Objective objective = Objective::mse;
  bool weighted = false;     // costs are weighted by an importance file
  std::uint32_t sample = 1;  // one block in so many was measured

  std::uint64_t source_bytes = 0, file_bytes = 0;  // of the weight files, before and after
  std::uint64_t weights = 0, selected_bytes = 0;   // of the tensors that are quantized or might have been
  double signal = 0.0, squared_error = 0.0;        // over them
  double cost = 0.0, bound = 0.0;                  // in the unit of the objective
  std::optional<double> gap;                       // (cost - bound) / bound; absent: nothing certified
  std::uint64_t evaluations = 0;
  std::optional<double> seconds;  // left out where the page is to be the same every time

  std::vector<ReportTensor> tensors;  // all, in model order
  ModelFront front;                   // the points by ascending bytes
  std::vector<SearchResult::TracePoint> trace;
  std::optional<ReportHistogram> histogram;

  std::vector<ReportUniformChoice> uniform;  // of --uniform
  std::optional<std::size_t> uniform_chosen;
  double penalty_exponent = 0.0;

  // SQNR, except where the objective is a divergence: then its cost is what the front is drawn in.
  bool shows_sqnr() const { return objective == Objective::mse; }
  double bpw() const {
    return weights == 0 ? 0.0 : 8.0 * static_cast<double>(selected_bytes) / static_cast<double>(weights);
  }
};

// A page of HTML that is well-formed XML too.
std::string report_html(const ReportData& data);

// Fills in what a search over a model knows: sizes, tensors, front, trace. `tensors` are those of the
// checkpoint, in its order. Left for the caller: model, command, program, method, budget, candidates,
// source_bytes, seconds, histogram and the uniform question.
ReportData report_data(const ModelSearchResult& result, const ModelFront& front, const CostTable& table,
                       const std::vector<TensorInfo>& tensors);

}  // namespace afp::cli
