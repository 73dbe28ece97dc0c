// The weights of one tensor as its blocks see them, for the report.
#pragma once

#include <optional>

#include "afp/checkpoint.hpp"
#include "afp/plan.hpp"
#include "afp/progress.hpp"
#include "host/cli/report/report.hpp"

namespace afp::cli {

// Of the quantized tensor with the largest share of the error: its first rows, some millions of weights at
// most, quantized as the plan says, on the run's backend. Nothing where no tensor is quantized.
std::optional<ReportHistogram> worst_tensor_histogram(const Checkpoint& input, const Plan& plan,
                                                      const RunOptions& run);

}  // namespace afp::cli
