// How the search went: the least cost found so far over evaluations, above the bound that nothing can pass.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/cli/report/charts.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

void draw(Svg& svg, const ReportData& data, const Paper& paper) {
  const Box plot{paper.narrow ? 56.0 : 64.0, 36, paper.width - (paper.narrow ? 8 : 24),
                 paper.narrow ? 220.0 : 270.0};
  const bool has_bound = std::isfinite(data.bound) && data.bound > 0.0;
  double low = HUGE_VAL, high = -HUGE_VAL;
  const auto add = [&](double cost) {
    if (!std::isfinite(cost)) return;
    low = std::min(low, cost);
    high = std::max(high, cost);
  };
  for (const SearchResult::TracePoint& point : data.trace) add(point.cost);
  if (has_bound) add(data.bound);
  if (low > high) low = high = 1.0;
  const bool is_log = low > 0.0 && high > 20.0 * low;
  const double pad = 0.06 * (high - low);
  const double below = has_bound ? 2.0 * pad : pad;  // for the words under the bound
  const Scale y = is_log ? Scale(Scale::Kind::log, has_bound ? low / std::pow(high / low, 0.12) : low / 1.1,
                                 high * 1.1, plot.bottom, plot.top)
                         : Scale(Scale::Kind::linear, low - below, high + pad, plot.bottom, plot.top);
  const auto at = [](const SearchResult::TracePoint& point) {
    return std::max(static_cast<double>(point.evaluations), 1.0);
  };
  const Scale x(Scale::Kind::log, at(data.trace.front()), at(data.trace.back()), plot.left, plot.right);

  svg.rect(plot, "plot");
  draw_y_axis(svg, y, plot, paper.narrow ? 5 : 6,
              is_log ? "least cost so far, logarithmic" : "least cost so far");
  draw_x_axis(svg, x, plot, paper.narrow ? 5 : 10, "evaluations");
  if (has_bound) {
    svg.line(plot.left, y(data.bound), plot.right, y(data.bound), "bound");
    svg.text(plot.right, y(data.bound) + 15, "lab", Anchor::end,
             fmt::format("bound {}", significant(data.bound, 4)));
  }
  std::vector<std::pair<double, double>> line;
  for (const SearchResult::TracePoint& point : data.trace) {
    if (!line.empty()) line.emplace_back(x(at(point)), line.back().second);
    line.emplace_back(x(at(point)), y(point.cost));
  }
  svg.polyline(line, "front");
  for (const SearchResult::TracePoint& point : data.trace)
    svg.circle(
        x(at(point)), y(point.cost), data.trace.size() > 60 ? 1.4 : 2.4, "pt",
        fmt::format("{}: cost {}", plural(point.evaluations, "evaluation"), significant(point.cost, 5)));
}

}  // namespace

std::string trace_chart(const ReportData& data) {
  std::string out;
  for (const Paper& paper : kPapers) {
    Svg svg(fmt::format("trace-{}", paper.kind), paper.kind, paper.width, (paper.narrow ? 220.0 : 270.0) + 44,
            "Least cost found so far over evaluations",
            fmt::format("From {} down to {} in {}.", significant(data.trace.front().cost, 4),
                        significant(data.trace.back().cost, 4),
                        plural(data.trace.back().evaluations, "evaluation")));
    draw(svg, data, paper);
    out += svg.text();
  }
  return out;
}

}  // namespace afp::cli
