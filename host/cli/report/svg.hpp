// A small writer of SVG drawings: scales with round ticks, axes, marks, text that is escaped.
//
// Colours and type come from CSS classes alone, so that one drawing serves light, dark and paper.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace afp::cli {

struct Box {
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;

  double width() const { return right - left; }
  double height() const { return bottom - top; }
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
  bool holds(const Box& other) const {
    return left <= other.left && other.right <= right && top <= other.top && other.bottom <= bottom;
  }
};

// Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], at most `most` of them (at least
// 2).
std::vector<double> linear_ticks(double low, double high, int most);
// Likewise for a logarithmic axis, 0 < low: powers of ten, with 2 and 5 times them where there is room, else
// every so many powers.
std::vector<double> log_ticks(double low, double high, int most);
// All ticks with the decimals that tell them apart, "0.5" "1.0"; thousands are separated where
// one has 10,000 or more.
std::vector<std::string> tick_texts(const std::vector<double>& ticks);

// Maps data to a coordinate. Values outside the domain are brought to its nearest end.
class Scale {
 public:
  enum class Kind { linear, log };

  // `from` and `to` are the coordinates of `low` and `high`. An empty domain is widened around its value.
  Scale(Kind kind, double low, double high, double from, double to);

  double operator()(double value) const;
  double low() const { return low_; }
  double high() const { return high_; }
  std::vector<double> ticks(int most) const;

 private:
  Kind kind_;
  double low_, high_, from_, to_;
};

enum class Anchor { start, middle, end };

class Svg {
 public:
  // `id` is unique on the page, `kind` a class ("wide", "narrow"). Title and description are for those who
  // cannot see the drawing.
  Svg(std::string id, std::string_view kind, double width, double height, std::string_view title,
      std::string_view description);

  double width() const { return width_; }
  double height() const { return height_; }

  // Marks may have a note, shown where the pointer rests.
  void line(double x1, double y1, double x2, double y2, std::string_view css, std::string_view note = {});
  void rect(const Box& box, std::string_view css, std::string_view note = {});
  void circle(double x, double y, double radius, std::string_view css, std::string_view note = {});
  void square(double x, double y, double half, std::string_view css, std::string_view note = {});
  void text(double x, double y, std::string_view css, Anchor anchor, std::string_view text);
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view css);

  std::string text() const;  // the whole element

 private:
  void mark(std::string_view element, std::string_view css, std::string_view note);

  double width_, height_;
  std::string head_, body_;
};

// Width in pixels that text takes at most, near enough to keep labels apart.
double text_width(std::string_view text, double font_size);

// Places labels beside points so that they overlap neither one another nor what was blocked.
class LabelPlacer {
 public:
  explicit LabelPlacer(Box area) : area_(area) {}

  void block(const Box& box) { taken_.push_back(box); }

  struct Label {
    Box box;
    Anchor anchor = Anchor::start;
    double x() const {
      return anchor == Anchor::start ? box.left
             : anchor == Anchor::end ? box.right
                                     : (box.left + box.right) / 2;
    }
  };
  enum class Prefer { right, above_left, below_left };
  // Where a label of this size goes that belongs to the point, `gap` away from it; nothing where there is no
  // room.
  std::optional<Label> place(double x, double y, double gap, double width, double height,
                             Prefer prefer = Prefer::right);

 private:
  Box area_;
  std::vector<Box> taken_;
};

}  // namespace afp::cli
