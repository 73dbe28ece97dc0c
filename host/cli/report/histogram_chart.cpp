// One tensor's weights and, hanging below them, the code points that they were rounded to.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/cli/report/charts.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

constexpr double kStems = 70.0;  // height of the band of one Format's code points

void draw(Svg& svg, const ReportHistogram& histogram, const Paper& paper) {
  const Box plot{paper.narrow ? 46.0 : 60.0, 36, paper.width - 8, paper.narrow ? 190.0 : 230.0};
  double low = histogram.edges.front(), high = histogram.edges.back();
  std::uint64_t most = 1, most_code = 1;
  for (const std::uint64_t count : histogram.counts) most = std::max(most, count);
  for (const ReportHistogram::Codes& codes : histogram.codes)
    for (const ReportHistogram::CodePoint& point : codes.points) {
      low = std::min(low, point.value);
      high = std::max(high, point.value);
      most_code = std::max(most_code, point.count);
    }
  const double pad = 0.01 * (high - low);
  const Scale x(Scale::Kind::linear, low - pad, high + pad, plot.left, plot.right);
  const auto kind = histogram.log_counts ? Scale::Kind::log : Scale::Kind::linear;
  const double least = histogram.log_counts ? 0.7 : 0.0;
  const Scale y(kind, least, 1.04 * static_cast<double>(most), plot.bottom, plot.top);

  svg.rect(plot, "plot");
  draw_y_axis(svg, y, plot, paper.narrow ? 4 : 5, histogram.log_counts ? "weights, logarithmic" : "weights");
  for (std::size_t i = 0; i < histogram.counts.size() && i + 1 < histogram.edges.size(); ++i) {
    if (histogram.counts[i] == 0) continue;
    const double left = x(histogram.edges[i]), right = x(histogram.edges[i + 1]);
    const double gap = right - left > 3.0 ? 0.6 : 0.0;
    svg.rect({left, y(static_cast<double>(histogram.counts[i])), right - gap, plot.bottom}, "bar",
             fmt::format("{} to {}: {}", significant(histogram.edges[i], 3),
                         significant(histogram.edges[i + 1], 3), plural(histogram.counts[i], "weight")));
  }
  svg.line(plot.left, plot.bottom, plot.right, plot.bottom, "axis");

  double top = plot.bottom + 4;
  int nth = 0;
  for (const ReportHistogram::Codes& codes : histogram.codes) {
    const Scale down(kind, least, static_cast<double>(most_code), top, top + kStems - 10);
    const std::string css = nth++ == 0 ? "c1" : "c2";
    for (const ReportHistogram::CodePoint& point : codes.points) {
      const double px = x(point.value), end = down(static_cast<double>(point.count));
      svg.line(px, top, px, std::max(end, top + 3),
               (codes.points.size() > 70 ? "code fine " : "code ") + css);
      svg.circle(px, std::max(end, top + 3), codes.points.size() > 70 ? 1.2 : 2.4, "codept " + css,
                 fmt::format("{} {}: {}", to_string(codes.format), significant(point.value, 4),
                             plural(point.count, "weight")));
    }
    svg.text(0, top + 13, "lab " + css, Anchor::start, to_string(codes.format));
    top += kStems;
  }
  Box below = plot;
  below.bottom = top;
  draw_x_axis(svg, x, below, paper.narrow ? 7 : 13, "weight, in units of its block's scale");
}

}  // namespace

std::string histogram_chart(const ReportData& data) {
  const ReportHistogram& histogram = *data.histogram;
  std::string out;
  for (const Paper& paper : kPapers) {
    const double height =
        (paper.narrow ? 194.0 : 234.0) + kStems * static_cast<double>(histogram.codes.size()) + 44;
    Svg svg(fmt::format("histogram-{}", paper.kind), paper.kind, paper.width, height,
            fmt::format("Weights of {} and their code points", histogram.tensor),
            "Bars: how many weights lie where. Stems below: how many weights became each code point.");
    draw(svg, histogram, paper);
    out += svg.text();
  }
  return out;
}

}  // namespace afp::cli
