// Size against error: what every budget buys, beside one Encoding for all tensors.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/cli/report/charts.hpp"
#include "host/cli/report/front.hpp"
#include "host/cli/report/markup.hpp"

namespace afp::cli {
namespace {

constexpr double kExactLane = 26.0;  // for what loses nothing: infinitely good has no place on an axis

class FrontChart {
 public:
  FrontChart(const ReportData& data, const Paper& paper);
  std::string text();

 private:
  struct Range {
    double low = HUGE_VAL, high = -HUGE_VAL;
    void add(double value) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  };

  static Box plot_of(const Paper& paper);
  static Scale y_scale(const ReportData& data, const Range& quality, const Box& plot);
  double y(double quality) const;
  std::string note(std::uint64_t bytes, double bpw, double quality) const;
  void draw_sizes();
  void draw_mixed();
  void draw_single();
  void label_single();
  void draw_chosen();

  const ReportData& data_;
  const Paper& paper_;
  Range bpw_, quality_;
  bool has_exact_ = false;
  Box plot_;    // marks lie within
  Box scaled_;  // the part of it that the y axis spans
  Scale x_, y_;
  Svg svg_;
  LabelPlacer labels_;
};

Box FrontChart::plot_of(const Paper& paper) {
  return paper.narrow ? Box{40, 34, paper.width - 8, 318} : Box{52, 36, paper.width - 24, 420};
}

Scale FrontChart::y_scale(const ReportData& data, const Range& range, const Box& plot) {
  const Range quality = range.low > range.high ? Range{1.0, 1.0} : range;
  if (!data.shows_sqnr())
    return {Scale::Kind::log, quality.low / 1.15, quality.high * 1.15, plot.bottom, plot.top};
  const double pad = 0.04 * (quality.high - quality.low);
  return {Scale::Kind::linear, quality.low - pad, quality.high + pad, plot.bottom, plot.top};
}

FrontChart::FrontChart(const ReportData& data, const Paper& paper)
    : data_(data),
      paper_(paper),
      plot_(plot_of(paper)),
      scaled_(plot_),
      x_(Scale::Kind::linear, 0, 1, 0, 1),
      y_(Scale::Kind::linear, 0, 1, 0, 1),
      svg_(fmt::format("front-{}", paper.kind), paper.kind, paper.width, plot_.bottom + 62,
           fmt::format("Size against {} over budgets", quality_name(data)),
           fmt::format(
               "{} points of the front of mixed Encodings and {} of one Encoding for all tensors; the choice "
               "has {} bits a weight and {} of {}. The tables below hold the same numbers.",
               data.front.mixed.size(), data.front.uniform.size(), fixed(data.bpw(), 2), quality_name(data),
               quality_words(data, chosen_quality(data)))),
      labels_(Box{plot_.left + 2, plot_.top - 12, paper.width, plot_.bottom - 2}) {
  const auto add = [&](double bpw, double quality) {
    bpw_.add(bpw);
    if (is_exact(data, quality))
      has_exact_ = true;
    else if (std::isfinite(quality))
      quality_.add(quality);
  };
  for (const ModelFrontPoint& point : data.front.mixed)
    add(point.bpw, quality_of(data, point.cost, point.squared_error));
  for (const UniformPoint& point : data.front.uniform)
    add(point.bpw, quality_of(data, point.cost, point.squared_error));
  add(data.bpw(), chosen_quality(data));

  if (has_exact_ && data.shows_sqnr()) scaled_.top += kExactLane;
  if (has_exact_ && !data.shows_sqnr()) scaled_.bottom -= kExactLane;
  const double pad = 0.03 * (bpw_.high - bpw_.low);
  x_ = Scale(Scale::Kind::linear, bpw_.low - pad, bpw_.high + pad, plot_.left, plot_.right);
  y_ = y_scale(data, quality_, scaled_);
}

double FrontChart::y(double quality) const {
  if (is_exact(data_, quality)) return data_.shows_sqnr() ? plot_.top + 8 : plot_.bottom - 8;
  return y_(quality);
}

std::string FrontChart::note(std::uint64_t bytes, double bpw, double quality) const {
  return fmt::format("{} bpw, file of {}, {}", fixed(bpw, 3), size_words(file_bytes_with(data_, bytes)),
                     quality_words(data_, quality));
}

// A second line of numbers under those of the x axis: the size of the file at that many bits.
void FrontChart::draw_sizes() {
  for (const double tick : x_.ticks(paper_.narrow ? 5 : 10)) {
    const double bytes = std::max(tick, 0.0) * static_cast<double>(data_.weights) / 8.0;
    const std::string words =
        size_words(file_bytes_with(data_, static_cast<std::uint64_t>(std::llround(bytes))));
    const bool is_cut = x_(tick) + text_width(words, kLegendSize) / 2 > paper_.width;
    svg_.text(is_cut ? paper_.width : x_(tick), plot_.bottom + 35, "tick faint",
              is_cut ? Anchor::end : Anchor::middle, words);
  }
}

void FrontChart::draw_mixed() {
  std::vector<std::pair<double, double>> line;
  for (const ModelFrontPoint& point : data_.front.mixed)
    line.emplace_back(x_(point.bpw), y(quality_of(data_, point.cost, point.squared_error)));
  svg_.polyline(line, "front");
  // points every few pixels show that budgets lie close together; more would be a thick line
  for (std::size_t i = 0; i < line.size(); ++i) {
    const ModelFrontPoint& point = data_.front.mixed[i];
    svg_.circle(line[i].first, line[i].second, line.size() > 60 ? 1.8 : 2.6, "pt",
                note(point.bytes, point.bpw, quality_of(data_, point.cost, point.squared_error)));
    labels_.block({line[i].first - 2, line[i].second - 2, line[i].first + 2, line[i].second + 2});
  }
  for (std::size_t i = 1; i < line.size(); ++i)  // labels keep off the line between points as well
    for (int part = 1; part < 8; ++part) {
      const double px = line[i - 1].first + (line[i].first - line[i - 1].first) * part / 8.0;
      const double py = line[i - 1].second + (line[i].second - line[i - 1].second) * part / 8.0;
      labels_.block({px - 1.5, py - 1.5, px + 1.5, py + 1.5});
    }
}

void FrontChart::draw_single() {
  const auto& points = data_.front.uniform;
  const std::vector<bool> is_best = undominated(data_);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double quality = quality_of(data_, points[i].cost, points[i].squared_error);
    const double px = x_(points[i].bpw), py = y(quality);
    svg_.square(px, py, is_best[i] ? 4.0 : 3.0,
                fmt::format("un {}{}", bits_class(points[i].encoding), is_best[i] ? "" : " dim"),
                fmt::format("{} everywhere: {}", to_string(points[i].encoding),
                            note(points[i].bytes, points[i].bpw, quality)));
    labels_.block({px - 4, py - 4, px + 4, py + 4});
  }
}

void FrontChart::label_single() {
  const auto& points = data_.front.uniform;
  std::vector<std::string> names;
  for (const UniformPoint& point : points) names.push_back(to_string(point.encoding));
  const std::string ending = common_ending(names);
  const std::vector<bool> is_best = undominated(data_);

  std::vector<std::size_t> order;  // whose label matters most
  for (const bool best : {true, false})
    for (std::size_t i = 0; i < points.size(); ++i)
      if (is_best[i] == best) order.push_back(i);

  std::size_t room = paper_.narrow ? 8 : 16;
  for (const std::size_t i : order) {
    if (room == 0) break;
    const std::string name = names[i].substr(0, names[i].size() - ending.size());
    const double quality = quality_of(data_, points[i].cost, points[i].squared_error);
    const auto at =
        labels_.place(x_(points[i].bpw), y(quality), 8, text_width(name, kLegendSize), kLegendSize);
    if (!at) continue;
    svg_.text(at->x(), at->box.bottom - 2, is_best[i] ? "lab" : "lab faint", at->anchor, name);
    --room;
  }
}

void FrontChart::draw_chosen() {
  const double quality = chosen_quality(data_);
  const double px = x_(data_.bpw()), py = y(quality);
  svg_.line(px, py + 7, px, plot_.bottom, "drop");
  labels_.block({px - 1, py, px + 1, plot_.bottom});
  svg_.line(plot_.left, py, px - 7, py, "drop");
  svg_.circle(px, py, 6, "pick", "chosen: " + note(data_.selected_bytes, data_.bpw(), quality));
  svg_.circle(px, py, 2, "pickdot");

  labels_.block({px - 7, py - 7, px + 7, py + 7});

  // What is better than the front cannot be had: there the label has room.
  constexpr double kSize = 13.0;
  std::vector<std::string> lines = {fmt::format("{} bpw", fixed(data_.bpw(), 2)),
                                    quality_words(data_, quality)};
  if (!paper_.narrow) lines = {fmt::format("chosen: {}, {}", lines[0], lines[1])};
  double width = 0.0;
  for (const std::string& line : lines) width = std::max(width, text_width(line, kSize));
  const double height = 1.25 * kSize * static_cast<double>(lines.size());
  const auto at =
      labels_.place(px, py, 9, width, height,
                    data_.shows_sqnr() ? LabelPlacer::Prefer::above_left : LabelPlacer::Prefer::below_left);
  if (!at) return;  // the text above the drawing says it
  double base = at->box.top + kSize;
  for (const std::string& line : lines) {
    svg_.text(at->x(), base, "lab strong", at->anchor, line);
    base += 1.25 * kSize;
  }
}

std::string FrontChart::text() {
  svg_.rect(plot_, "plot");
  draw_y_axis(svg_, y_, plot_, paper_.narrow ? 6 : 8,
              data_.shows_sqnr() ? "SQNR, dB" : "divergence, logarithmic: less is better");
  if (has_exact_)
    svg_.text(plot_.left - 8, (data_.shows_sqnr() ? plot_.top + 12 : plot_.bottom - 4), "tick", Anchor::end,
              "exact");
  draw_x_axis(svg_, x_, plot_, paper_.narrow ? 5 : 10, "");
  draw_sizes();
  svg_.text(plot_.right, plot_.bottom + 55, "title", Anchor::end,
            "bits per weight, and the size of the files");
  draw_mixed();
  draw_single();
  draw_chosen();
  label_single();
  return svg_.text();
}

}  // namespace

std::string front_chart(const ReportData& data) {
  std::string out;
  for (const Paper& paper : kPapers) out += FrontChart(data, paper).text();
  return out;
}

}  // namespace afp::cli
