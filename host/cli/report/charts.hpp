// The drawings of a report. Each is made twice, for a wide page and for a phone: a drawing that is merely
// scaled down has letters too small to read. CSS shows one of the two.
#pragma once

#include <string>
#include <string_view>

#include "host/cli/report/report.hpp"
#include "host/cli/report/svg.hpp"

namespace afp::cli {

struct Paper {
  std::string_view kind;  // CSS class of the drawing
  double width;
  bool narrow;
};
inline constexpr Paper kPapers[] = {{"wide", 960.0, false}, {"narrow", 358.0, true}};
inline constexpr double kLegendSize = 11.5;  // of labels, in pixels, as the style sheet has it

// "b4": the colour of a number of bits a weight; "kept" without an Encoding.
std::string bits_class(const std::optional<Encoding>& encoding);

// Lines across the plot, numbers at its left, the title above them.
void draw_y_axis(Svg& svg, const Scale& scale, const Box& plot, int most, std::string_view title);
// The line below the plot, numbers under it, the title at its right end.
void draw_x_axis(Svg& svg, const Scale& scale, const Box& plot, int most, std::string_view title);

std::string front_chart(const ReportData& data);
std::string tensor_chart(const ReportData& data);
std::string share_chart(const ReportData& data);
std::string histogram_chart(const ReportData& data);
std::string trace_chart(const ReportData& data);

// "/16/ue4m3" where all Encodings end so, else empty.
std::string common_ending(const std::vector<std::string>& encodings);

}  // namespace afp::cli
