// What the front of a report says: which budget buys what. The chart and the tables of it share these
// answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/report/report.hpp"

namespace afp::cli {

// What the front is drawn in: SQNR in dB, the more the better, or the cost of a divergence, the less the
// better.
double quality_of(const ReportData& data, double cost, double squared_error);
double chosen_quality(const ReportData& data);
bool is_exact(const ReportData& data, double quality);  // nothing is lost: no place on the axis
bool is_at_least(const ReportData& data, double quality, double wanted);
double within_one_percent(const ReportData& data, double quality);  // 0.99 times the dB, 1.01 times the cost
std::string quality_words(const ReportData& data, double quality);  // "21.30 dB", "0.0123"
std::string quality_name(const ReportData& data);                   // "SQNR", "divergence"

// Of the weight files, were the selected tensors to take so many bytes.
std::uint64_t file_bytes_with(const ReportData& data, std::uint64_t selected_bytes);

// The smallest point of the mixed front that is at least as good; null where none is.
const ModelFrontPoint* smallest_reaching(const ReportData& data, double quality);

// Of the single Encodings that no other one beats the nearest in size to the choice; null where there is
// none.
const UniformPoint* nearest_single(const ReportData& data);

// "--target-bpw 4.021": rounded up, so that the point itself is within the budget.
std::string target_option(double bpw);

// For every point of front.uniform: whether no other one is both smaller and better.
std::vector<bool> undominated(const ReportData& data);

}  // namespace afp::cli
