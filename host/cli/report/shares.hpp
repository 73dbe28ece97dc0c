// Where the bits of a model went: its weights, bytes and errors by Encoding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/report/report.hpp"

namespace afp::cli {

struct EncodingShare {
  std::optional<Encoding> encoding;  // absent: kept
  std::string name;                  // "kept" or the Encoding's text
  std::string css;                   // classes of its colour
  std::uint64_t tensors = 0, weights = 0, bytes = 0;
  double squared_error = 0.0;
};

// By ascending bits, kept tensors last.
std::vector<EncodingShare> encoding_shares(const ReportData& data);

// Of all tensors, where it is known.
double total_error(const ReportData& data);

}  // namespace afp::cli
