// Bodies of svg.hpp.
#include "host/cli/report/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "host/cli/report/markup.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

// Ticks at multiples of `step` within [low, high], ends included in spite of rounding.
std::vector<double> multiples(double low, double high, double step) {
  std::vector<double> ticks;
  const double slack = step * 1e-9;
  for (double i = std::ceil((low - slack) / step); i * step <= high + slack; i += 1.0)
    ticks.push_back(i * step);
  return ticks;
}

double power_of_ten(int exponent) {
  return std::pow(10.0, exponent);
}

}  // namespace

std::vector<double> linear_ticks(double low, double high, int most) {
  const double span = high - low;
  // nor can ticks be told apart where doubles are about as coarse as the domain
  if (!(span > 1e-12 * std::max(std::abs(low), std::abs(high))) || !std::isfinite(span)) return {low};
  const auto limit = static_cast<std::size_t>(std::max(most, 2));
  for (int exponent = static_cast<int>(std::floor(std::log10(span / most)));; ++exponent)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double step = factor * power_of_ten(exponent);
      if (span / step > 2.0 * static_cast<double>(limit)) continue;
      std::vector<double> ticks = multiples(low, high, step);
      if (ticks.size() <= limit) return ticks;
    }
}

std::vector<double> log_ticks(double low, double high, int most) {
  const auto limit = static_cast<std::size_t>(std::max(most, 2));
  const int first = static_cast<int>(std::floor(std::log10(low))),
            last = static_cast<int>(std::ceil(std::log10(high)));
  const auto within = [&](const std::vector<double>& factors, int every) {
    std::vector<double> ticks;
    for (int exponent = first; exponent <= last; ++exponent) {
      if (exponent % every != 0) continue;
      for (const double factor : factors) {
        const double tick = factor * power_of_ten(exponent);
        if (tick >= low * (1.0 - 1e-9) && tick <= high * (1.0 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  for (const std::vector<double>& factors : {std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9},
                                             std::vector<double>{1, 2, 5}, std::vector<double>{1, 3}}) {
    const std::vector<double> ticks = within(factors, 1);
    if (ticks.size() <= limit && ticks.size() >= 2) return ticks;
  }
  for (int every = 1;; ++every) {
    const std::vector<double> ticks = within({1}, every);
    if (ticks.size() <= limit) return ticks.size() >= 2 ? ticks : linear_ticks(low, high, most);
  }
}

std::vector<std::string> tick_texts(const std::vector<double>& ticks) {
  std::vector<std::string> texts;
  double largest = 0.0, finest = 0.0;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    largest = std::max(largest, std::abs(ticks[i]));
    const double step = i > 0 ? ticks[i] - ticks[i - 1] : std::abs(ticks[i]);
    if (step > 0.0) finest = finest == 0.0 ? step : std::min(finest, step);
  }
  if (largest >= 1e7 || (largest > 0.0 && largest < 1e-3)) {
    for (const double tick : ticks) texts.push_back(tick == 0.0 ? "0" : fmt::format("{:.4g}", tick));
    return texts;
  }
  // of logarithmic ticks every one has its own decimals
  const bool even =
      ticks.size() < 3 || std::abs((ticks[2] - ticks[1]) - (ticks[1] - ticks[0])) < 1e-6 * finest;
  for (const double tick : ticks) {
    const double step = even ? finest : std::abs(tick);
    const int decimals = step > 0.0 ? std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9))) : 0;
    texts.push_back(decimals == 0 && tick >= 1000.0 && largest >= 10000.0
                        ? with_thousands(static_cast<std::uint64_t>(std::llround(tick)))
                        : fixed(tick, decimals));
  }
  return texts;
}

Scale::Scale(Kind kind, double low, double high, double from, double to)
    : kind_(kind), low_(low), high_(high), from_(from), to_(to) {
  if (kind_ == Kind::log) {
    if (!(high_ > low_ * (1.0 + 1e-9))) {
      low_ /= 2.0;
      high_ *= 2.0;
    }
  } else if (!(high_ - low_ > 1e-9 * std::max(std::abs(low_), std::abs(high_)))) {
    const double around = low_ == 0.0 ? 1.0 : 0.1 * std::abs(low_);
    low_ -= around;
    high_ += around;
  }
}

double Scale::operator()(double value) const {
  if (std::isnan(value)) value = low_;
  value = std::clamp(value, low_, high_);
  const double part =
      kind_ == Kind::log ? std::log(value / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
  return from_ + part * (to_ - from_);
}

std::vector<double> Scale::ticks(int most) const {
  return kind_ == Kind::log ? log_ticks(low_, high_, most) : linear_ticks(low_, high_, most);
}

Svg::Svg(std::string id, std::string_view kind, double width, double height, std::string_view title,
         std::string_view description)
    : width_(width), height_(height) {
  head_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{0}\" viewBox=\"0 0 {1} {2}\" width=\"{1}\" "
      "height=\"{2}\" "
      "role=\"img\" aria-labelledby=\"{3}-t {3}-d\"><title id=\"{3}-t\">{4}</title><desc "
      "id=\"{3}-d\">{5}</desc>\n",
      kind, coordinate(width), coordinate(height), id, escaped(title), escaped(description));
}

void Svg::mark(std::string_view element, std::string_view css, std::string_view note) {
  const std::string_view name = element.substr(0, element.find(' '));
  body_ += fmt::format("<{} class=\"{}\"", element, css);
  body_ += note.empty() ? "/>\n" : fmt::format("><title>{}</title></{}>\n", escaped(note), name);
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css, std::string_view note) {
  mark(fmt::format("line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"", coordinate(x1), coordinate(y1),
                   coordinate(x2), coordinate(y2)),
       css, note);
}

void Svg::rect(const Box& box, std::string_view css, std::string_view note) {
  mark(fmt::format("rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", coordinate(box.left, 2),
                   coordinate(box.top, 2), coordinate(std::max(box.width(), 0.0), 2),
                   coordinate(std::max(box.height(), 0.0), 2)),
       css, note);
}

void Svg::circle(double x, double y, double radius, std::string_view css, std::string_view note) {
  mark(fmt::format("circle cx=\"{}\" cy=\"{}\" r=\"{}\"", coordinate(x), coordinate(y), coordinate(radius)),
       css, note);
}

void Svg::square(double x, double y, double half, std::string_view css, std::string_view note) {
  rect({x - half, y - half, x + half, y + half}, css, note);
}

void Svg::text(double x, double y, std::string_view css, Anchor anchor, std::string_view text) {
  if (text.empty()) return;
  constexpr std::array<std::string_view, 3> kAnchors = {"", " text-anchor=\"middle\"",
                                                        " text-anchor=\"end\""};
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\"{}>{}</text>\n", coordinate(x), coordinate(y),
                       css, kAnchors[static_cast<std::size_t>(anchor)], escaped(text));
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, std::string_view css) {
  if (points.empty()) return;
  std::string data;
  for (const auto& [x, y] : points)
    data += fmt::format("{}{},{}", data.empty() ? "" : " ", coordinate(x), coordinate(y));
  mark(fmt::format("polyline points=\"{}\"", data), css, {});
}

std::string Svg::text() const {
  return head_ + body_ + "</svg>\n";
}

double text_width(std::string_view text, double font_size) {
  return 0.6 * font_size * static_cast<double>(display_width(text));
}

std::optional<LabelPlacer::Label> LabelPlacer::place(double x, double y, double gap, double width,
                                                     double height, Prefer prefer) {
  struct Try {
    double x, top;
    Anchor anchor;
  };
  const double near = 0.7 * gap, above = y - gap - height, below = y + gap;
  const Try above_left{x - near, above, Anchor::end}, below_left{x - near, below, Anchor::end};
  const Try right{x + gap, y - height / 2, Anchor::start};
  const std::array<Try, 9> tries = {{prefer == Prefer::above_left   ? above_left
                                     : prefer == Prefer::below_left ? below_left
                                                                    : right,
                                     right,
                                     {x + near, below - 3, Anchor::start},
                                     {x - gap, y - height / 2, Anchor::end},
                                     {x, below, Anchor::middle},
                                     above_left,
                                     {x, above, Anchor::middle},
                                     {x + near, below + 0.8 * gap, Anchor::start},
                                     below_left}};
  for (const Try& at : tries) {
    const double left = at.anchor == Anchor::start    ? at.x
                        : at.anchor == Anchor::middle ? at.x - width / 2
                                                      : at.x - width;
    const Box box{left, at.top, left + width, at.top + height};
    if (!area_.holds(box)) continue;
    if (std::any_of(taken_.begin(), taken_.end(), [&](const Box& other) { return other.overlaps(box); }))
      continue;
    taken_.push_back(box);
    return Label{box, at.anchor};
  }
  return std::nullopt;
}

}  // namespace afp::cli
