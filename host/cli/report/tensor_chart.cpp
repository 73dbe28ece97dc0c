// Error and Encoding of every tensor, in model order: a mark a tensor while there is room for one, else
// columns of tensors with their range, and the mean for every number of bits.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "host/cli/report/charts.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

constexpr double kExactLane = 26.0;  // for tensors without error: that is no number of dB
constexpr double kRibbon = 22.0;     // height of the band that shows the bits of a column's tensors

struct Mark {
  std::size_t index = 0;
  double sqnr = 0.0;  // infinite: nothing lost, kept tensors too
};

class TensorChart {
 public:
  TensorChart(const ReportData& data, const Paper& paper);
  std::string text();

 private:
  bool in_columns() const { return per_column_ > 1; }
  double x_axis_y() const { return plot_.bottom + (in_columns() ? 8 + kRibbon : 0.0); }
  double x(std::size_t index) const { return x_(static_cast<double>(index)); }
  double left_of(std::size_t index) const { return x_(static_cast<double>(index) - 0.5); }
  double y(double sqnr) const { return std::isinf(sqnr) ? plot_.top + 9 : y_(sqnr); }
  std::string note(const Mark& mark) const;
  void draw_marks();
  void draw_columns();
  void draw_ribbon(std::size_t first, std::size_t last);
  void draw_x_axis();

  const ReportData& data_;
  const Paper& paper_;
  std::size_t per_column_;
  std::vector<Mark> marks_;  // tensors whose error is known
  bool has_kept_ = false, has_exact_ = false;
  Box plot_;
  Scale x_, y_;
  Svg svg_;
};

std::string described(const ReportData& data) {
  return fmt::format(
      "{} in model order, with the SQNR of each and the bits of its Encoding. The table below holds "
      "the numbers.",
      plural(data.tensors.size(), "tensor"));
}

Box plot_of(const Paper& paper) {
  return paper.narrow ? Box{40, 34, paper.width - 8, 250} : Box{52, 36, paper.width - 8, 300};
}

// One while every tensor has room for a mark of its own.
std::size_t tensors_per_column(std::size_t count, const Paper& paper) {
  if (count <= (paper.narrow ? 110 : 320)) return 1;
  const std::size_t columns = paper.narrow ? 60 : 150;
  return (count + columns - 1) / columns;
}

TensorChart::TensorChart(const ReportData& data, const Paper& paper)
    : data_(data),
      paper_(paper),
      per_column_(tensors_per_column(data.tensors.size(), paper)),
      plot_(plot_of(paper)),
      x_(Scale::Kind::linear, -0.5, static_cast<double>(data.tensors.size()) - 0.5, plot_.left, plot_.right),
      y_(Scale::Kind::linear, 0, 1, 0, 1),
      svg_(fmt::format("tensors-{}", paper.kind), paper.kind, paper.width, x_axis_y() + 42,
           "Error and Encoding of each tensor in model order", described(data)) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (std::size_t i = 0; i < data.tensors.size(); ++i) {
    const ReportTensor& tensor = data.tensors[i];
    double sqnr = std::numeric_limits<double>::infinity();
    if (tensor.encoding) {
      if (!tensor.squared_error) continue;
      sqnr = sqnr_db_of(tensor.signal, *tensor.squared_error);
    }
    if (std::isnan(sqnr) || sqnr == -HUGE_VAL) continue;
    marks_.push_back({i, sqnr});
    if (!tensor.encoding) {
      has_kept_ = true;
    } else if (std::isinf(sqnr)) {
      has_exact_ = true;
    } else {
      low = std::min(low, sqnr);
      high = std::max(high, sqnr);
    }
  }
  if (low > high) low = high = 20.0;
  const double pad = std::max(0.06 * (high - low), 0.5);
  if (in_columns()) has_kept_ = false;  // the ribbon shows them
  const double lane = has_kept_ || has_exact_ ? kExactLane : 0.0;
  y_ = Scale(Scale::Kind::linear, low - pad, high + pad, plot_.bottom, plot_.top + lane);
}

std::string TensorChart::note(const Mark& mark) const {
  const ReportTensor& tensor = data_.tensors[mark.index];
  if (!tensor.encoding) return fmt::format("{}: kept, {}", tensor.name, tensor.kept);
  return fmt::format("{}: {}, {}", tensor.name, to_string(*tensor.encoding),
                     sqnr_words(tensor.signal, *tensor.squared_error));
}

void TensorChart::draw_marks() {
  const double step = plot_.width() / static_cast<double>(data_.tensors.size());
  const double radius = std::clamp(0.42 * step, paper_.narrow ? 2.0 : 2.5, 4.5);
  if (data_.tensors.size() <= 90)
    for (const Mark& mark : marks_)
      if (std::isfinite(mark.sqnr))
        svg_.line(x(mark.index), plot_.bottom, x(mark.index), y(mark.sqnr) + radius, "stem");
  for (const Mark& mark : marks_)
    svg_.circle(x(mark.index), y(mark.sqnr), radius,
                fmt::format("tm {}", bits_class(data_.tensors[mark.index].encoding)), note(mark));
}

void TensorChart::draw_ribbon(std::size_t first, std::size_t last) {
  std::array<std::size_t, kMaxBits + 1> count{};  // 0: kept
  for (std::size_t i = first; i < last; ++i)
    ++count[data_.tensors[i].encoding ? static_cast<std::size_t>(data_.tensors[i].encoding->bits()) : 0];
  const double height = kRibbon / static_cast<double>(last - first);
  double bottom = plot_.bottom + 6 + kRibbon;
  for (std::size_t bits = 0; bits < count.size(); ++bits) {
    if (count[bits] == 0) continue;
    const double top = bottom - height * static_cast<double>(count[bits]);
    svg_.rect({left_of(first), top, left_of(last), bottom},
              bits == 0 ? "rb none" : fmt::format("rb b{}", bits));
    bottom = top;
  }
}

void TensorChart::draw_columns() {
  std::size_t next = 0;
  for (std::size_t first = 0; first < data_.tensors.size(); first += per_column_) {
    const std::size_t last = std::min(first + per_column_, data_.tensors.size());
    const double middle = (left_of(first) + left_of(last)) / 2;
    double low = HUGE_VAL, high = -HUGE_VAL;
    std::array<double, kMaxBits + 1> sum{};
    std::array<std::size_t, kMaxBits + 1> count{};
    std::size_t exact = 0;
    for (; next < marks_.size() && marks_[next].index < last; ++next) {
      const Mark& mark = marks_[next];
      if (!std::isfinite(mark.sqnr)) {
        if (data_.tensors[mark.index].encoding) ++exact;
        continue;
      }
      low = std::min(low, mark.sqnr);
      high = std::max(high, mark.sqnr);
      const auto bits = static_cast<std::size_t>(data_.tensors[mark.index].encoding->bits());
      sum[bits] += mark.sqnr;
      ++count[bits];
    }
    const std::string where =
        fmt::format("tensors {} to {}", with_thousands(first), with_thousands(last - 1));
    if (low <= high) svg_.line(middle, y_(low) + 1, middle, y_(high) - 1, "band");
    for (std::size_t bits = 0; bits < count.size(); ++bits) {
      if (count[bits] == 0) continue;
      const double mean = sum[bits] / static_cast<double>(count[bits]);
      svg_.circle(middle, y_(mean), paper_.narrow ? 2.0 : 2.4, fmt::format("tm b{}", bits),
                  fmt::format("{}: {} of {} bits, {} dB on average; all from {} to {} dB", where, count[bits],
                              bits, fixed(mean, 2), fixed(low, 2), fixed(high, 2)));
    }
    if (exact > 0)
      svg_.circle(middle, y(HUGE_VAL), 2.2, "tm exact", fmt::format("{}: {} without error", where, exact));
    draw_ribbon(first, last);
  }
}

void TensorChart::draw_x_axis() {
  const double bottom = x_axis_y();
  if (in_columns()) svg_.text(plot_.left - 8, plot_.bottom + 10 + kRibbon / 2, "tick", Anchor::end, "bits");
  svg_.line(plot_.left, bottom, plot_.right, bottom, "axis");
  const std::size_t count = data_.tensors.size();
  const double step = plot_.width() / static_cast<double>(count);
  const auto letters = static_cast<std::size_t>((step - 12.0) / text_width("m", kLegendSize));
  if (step > 100.0) {  // room for names
    for (std::size_t i = 0; i < count; ++i)
      svg_.text(x(i), bottom + 19, "tick", Anchor::middle,
                shorten(printable(data_.tensors[i].name), letters));
  } else {
    for (const double tick : linear_ticks(0.0, static_cast<double>(count - 1), paper_.narrow ? 6 : 12)) {
      if (tick != std::floor(tick)) continue;
      svg_.line(x_(tick), bottom, x_(tick), bottom + 5, "axis");
      svg_.text(x_(tick), bottom + 19, "tick", Anchor::middle,
                with_thousands(static_cast<std::uint64_t>(tick)));
    }
  }
  svg_.text(plot_.right, bottom + 37, "title", Anchor::end,
            in_columns() ? fmt::format("tensor, in model order; {} a column", per_column_)
                         : "tensor, in model order");
}

std::string TensorChart::text() {
  svg_.rect(plot_, "plot");
  draw_y_axis(svg_, y_, plot_, paper_.narrow ? 5 : 7, "SQNR, dB");
  if (has_kept_ || has_exact_)
    svg_.text(plot_.left - 8, plot_.top + 13, "tick", Anchor::end, has_exact_ ? "exact" : "kept");
  const double all = sqnr_db_of(data_.signal, data_.squared_error);
  if (std::isfinite(all) && all >= y_.low() && all <= y_.high())
    svg_.line(plot_.left, y_(all), plot_.right, y_(all), "mean");
  if (in_columns())
    draw_columns();
  else
    draw_marks();

  draw_x_axis();
  return svg_.text();
}

}  // namespace

std::string tensor_chart(const ReportData& data) {
  std::string out;
  for (const Paper& paper : kPapers) out += TensorChart(data, paper).text();
  return out;
}

}  // namespace afp::cli
