// The axes that the drawings of a report share.
#include <fmt/format.h>

#include "host/cli/report/charts.hpp"

namespace afp::cli {

std::string bits_class(const std::optional<Encoding>& encoding) {
  return encoding ? fmt::format("b{}", encoding->bits()) : "kept";
}

void draw_y_axis(Svg& svg, const Scale& scale, const Box& plot, int most, std::string_view title) {
  const std::vector<double> ticks = scale.ticks(most);
  const std::vector<std::string> texts = tick_texts(ticks);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double y = scale(ticks[i]);
    svg.line(plot.left, y, plot.right, y, "grid");
    svg.text(plot.left - 8, y + 4, "tick", Anchor::end, texts[i]);
  }
  svg.text(0, plot.top - 14, "title", Anchor::start, title);
}

void draw_x_axis(Svg& svg, const Scale& scale, const Box& plot, int most, std::string_view title) {
  svg.line(plot.left, plot.bottom, plot.right, plot.bottom, "axis");
  const std::vector<double> ticks = scale.ticks(most);
  const std::vector<std::string> texts = tick_texts(ticks);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double x = scale(ticks[i]);
    svg.line(x, plot.bottom, x, plot.bottom + 5, "axis");
    svg.text(x, plot.bottom + 19, "tick", Anchor::middle, texts[i]);
  }
  svg.text(plot.right, plot.bottom + 37, "title", Anchor::end, title);
}

std::string common_ending(const std::vector<std::string>& encodings) {
  std::string ending;
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    const std::size_t slash = encodings[i].find('/');
    const std::string own = slash == std::string::npos ? "" : encodings[i].substr(slash);
    if (i == 0)
      ending = own;
    else if (own != ending)
      return "";
  }
  return ending;
}

}  // namespace afp::cli
