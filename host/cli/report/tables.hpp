// The tables of a report: what its drawings show, in numbers.
#pragma once

#include <string>

#include "host/cli/report/report.hpp"

namespace afp::cli {

// Rows of tensors on the page at most; the rest is summed up in a note.
inline constexpr std::size_t kMostTensorRows = 200;
inline constexpr std::size_t kMostWorstRows = 10;  // in plain sight; the others unfold

// For every single Encoding the smallest mix of Encodings that is as good, and that is within 1 %.
std::string answer_table(const ReportData& data);
std::string front_table(const ReportData& data);  // at most 40 rows, evenly thinned
// The quantized tensors with the most error, at most `most`. Longer tables can be sorted and filtered.
std::string tensor_table(const ReportData& data, std::size_t most);
std::string kept_table(const ReportData& data);  // by reason; empty where nothing is kept
std::string share_table(const ReportData& data);
std::string code_point_table(const ReportHistogram& histogram);
std::string trace_table(const ReportData& data);
std::string uniform_map(const ReportData& data);  // cost by bits and exponent bits

}  // namespace afp::cli
