// The HTML report: read back as XML, its marks measured against the data.
#include "host/cli/report/report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "host/cli/report/svg.hpp"
#include "host/cli/report/tables.hpp"
#include "page.hpp"
#include "report_sample.hpp"

namespace afp::cli {
namespace {

Box box_of(const Element& rect) {
  return {rect.number("x"), rect.number("y"), rect.number("x") + rect.number("width"),
          rect.number("y") + rect.number("height")};
}

std::vector<const Element*> marks(const Element& svg, const std::string& element, const std::string& css) {
  std::vector<const Element*> out;
  svg.collect([&](const Element& e) { return e.name == element && e.has_class(css); }, out);
  return out;
}

const Element& drawing(const Element& page, const std::string& title_id) {
  std::vector<const Element*> out;
  page.collect(
      [&](const Element& e) {
        return e.name == "svg" && e.attribute("aria-labelledby").starts_with(title_id);
      },
      out);
  if (out.size() != 1) throw std::runtime_error("no drawing " + title_id);
  return *out[0];
}

std::vector<std::string> both(const std::string& name) {
  return {name + "-wide-t", name + "-narrow-t"};
}

TEST(Report, IsWellFormedWhateverItHolds) {
  int which = 0;
  for (const ReportData& data : extremes()) {
    SCOPED_TRACE(which++);
    const std::string html = report_html(data);
    ASSERT_NO_THROW(read_page(html)) << [&] {
      try {
        read_page(html);
      } catch (const std::exception& error) {
        return std::string(error.what());
      }
      return std::string();
    }();
    EXPECT_EQ(html.find("nan"), std::string::npos);
    EXPECT_EQ(html.find("inf\""), std::string::npos);
  }
}

TEST(Report, IdsAreUniqueAndReferencesLead) {
  for (const ReportData& data : extremes()) {
    const auto page = read_page(report_html(data));
    std::vector<const Element*> named, referring;
    page->collect([](const Element& e) { return e.attributes.count("id") > 0; }, named);
    page->collect([](const Element& e) { return e.attributes.count("aria-labelledby") > 0; }, referring);
    std::set<std::string> ids;
    for (const Element* element : named) EXPECT_TRUE(ids.insert(element->attribute("id")).second);
    for (const Element* element : referring) {
      std::istringstream words(element->attribute("aria-labelledby"));
      for (std::string word; words >> word;) EXPECT_TRUE(ids.count(word)) << word;
    }
  }
}

TEST(Report, FetchesNothing) {
  for (const ReportData& data : extremes()) {
    const std::string html = report_html(data);
    const auto page = read_page(html);
    for (const char* name : {"link", "img", "iframe", "object", "embed", "image", "use", "a", "form", "base"})
      EXPECT_TRUE(page->all(name).empty()) << name;
    EXPECT_EQ(page->all("script").size(), 1u);
    EXPECT_EQ(page->all("style").size(), 1u);
    std::vector<const Element*> calling;
    page->collect(
        [](const Element& e) {
          return std::any_of(e.attributes.begin(), e.attributes.end(), [](const auto& attribute) {
            const auto& [key, value] = attribute;
            return key == "src" || key == "href" || key.starts_with("on") ||
                   (key != "xmlns" && value.find("://") != std::string::npos);
          });
        },
        calling);
    EXPECT_TRUE(calling.empty());
    for (const std::string& text : {page->all("style")[0]->own_text, page->all("script")[0]->own_text})
      for (const char* word : {"http", "url(", "@import", "fetch(", "XMLHttp"})
        EXPECT_EQ(text.find(word), std::string::npos) << word;
  }
}

TEST(Report, IsTheSameEveryTime) {
  for (const ReportData& data : extremes()) EXPECT_EQ(report_html(data), report_html(data));
}

TEST(Report, ShowsHardNamesAsText) {
  ReportData data = sample_data(std::size(kHardNames));
  for (std::size_t i = 0; i < data.tensors.size(); ++i) {
    data.tensors[i].name = kHardNames[i];
    data.tensors[i].encoding = parse_encoding("E2M1/32/e8m0");
    data.tensors[i].squared_error = 1.0 - 0.01 * static_cast<double>(i);  // their order in the table
  }
  const auto page = read_page(report_html(data));
  const auto cells = marks(*page, "th", "name");
  ASSERT_EQ(cells.size(), std::size(kHardNames) + 1);  // and the heading
  const std::string shown[] = {"</script><script>alert(1)</script>",
                               "a<b>&\"c'd",
                               "nul\\x01\\x1b[2J\\x0a\\x09\\x7f",
                               "\\xff\\xfe broken \\xc3( \\xed\\xa0\\x80 \\xf5\\x80\\x80\\x80 \\xc0\\x80",
                               "turned \\xe2\\x80\\xae round",
                               "]]>--><!--",
                               "&amp;lt;",
                               "größe.重み.вес",
                               ""};
  for (std::size_t i = 0; i < std::size(shown); ++i) EXPECT_EQ(cells[i + 1]->text(), shown[i]);
}

TEST(Report, FrontHasAMarkAPointWhereItsNumbersAre) {
  for (const bool is_divergence : {false, true}) {
    const ReportData data = is_divergence ? divergence_data() : sample_data();
    const auto page = read_page(report_html(data));
    for (const std::string& id : both("front")) {
      const Element& svg = drawing(*page, id);
      const auto points = marks(svg, "circle", "pt"), singles = marks(svg, "rect", "un"),
                 chosen = marks(svg, "circle", "pick"), plots = marks(svg, "rect", "plot");
      ASSERT_EQ(points.size(), data.front.mixed.size());
      ASSERT_EQ(singles.size(), data.front.uniform.size());
      ASSERT_EQ(chosen.size(), 1u);
      ASSERT_EQ(plots.size(), 1u);
      const Box plot = box_of(*plots[0]);

      // Both axes are affine in bpw and in dB or in the logarithm of the cost: two points tell where all are.
      const auto level = [&](double cost, double error) {
        return is_divergence ? std::log(cost) : -10.0 * std::log10(error / data.signal);
      };
      const ModelFrontPoint &first = data.front.mixed.front(), &last = data.front.mixed.back();
      const double low = level(first.cost, first.squared_error), high = level(last.cost, last.squared_error);
      const auto expected_x = [&](double bpw) {
        return std::lerp(points.front()->number("cx"), points.back()->number("cx"),
                         (bpw - first.bpw) / (last.bpw - first.bpw));
      };
      const auto expected_y = [&](double cost, double error) {
        return std::lerp(points.front()->number("cy"), points.back()->number("cy"),
                         (level(cost, error) - low) / (high - low));
      };
      const auto check = [&](double x, double y, double bpw, double cost, double error) {
        EXPECT_NEAR(x, expected_x(bpw), 0.2);
        EXPECT_NEAR(y, expected_y(cost, error), 0.2);
        EXPECT_TRUE(plot.left <= x && x <= plot.right && plot.top <= y && y <= plot.bottom) << x << " " << y;
      };
      EXPECT_LT(points.front()->number("cx"), points.back()->number("cx"));
      EXPECT_EQ(points.front()->number("cy") > points.back()->number("cy"), !is_divergence);
      for (std::size_t i = 0; i < points.size(); ++i)
        check(points[i]->number("cx"), points[i]->number("cy"), data.front.mixed[i].bpw,
              data.front.mixed[i].cost, data.front.mixed[i].squared_error);
      for (std::size_t i = 0; i < singles.size(); ++i) {
        const Box box = box_of(*singles[i]);
        const UniformPoint& point = data.front.uniform[i];
        EXPECT_GE(box.width(), 5.0);
        check((box.left + box.right) / 2, (box.top + box.bottom) / 2, point.bpw, point.cost,
              point.squared_error);
        EXPECT_TRUE(singles[i]->has_class("b" + std::to_string(point.encoding.bits())));
        EXPECT_NE(singles[i]->text().find(to_string(point.encoding)), std::string::npos);
      }
      check(chosen[0]->number("cx"), chosen[0]->number("cy"), data.bpw(), data.cost, data.squared_error);
    }
  }
}

TEST(Report, WhatIsExactStaysOnTheDrawing) {
  for (const ReportData& data : extremes()) {
    const auto page = read_page(report_html(data));
    for (const Element* svg : page->all("svg")) {
      const Box paper{0.0, 0.0, svg->number("width"), svg->number("height")};
      for (const Element* circle : svg->all("circle")) {
        const double x = circle->number("cx"), y = circle->number("cy");
        EXPECT_TRUE(paper.holds({x, y, x, y})) << x << " " << y;
      }
      for (const Element* rect : svg->all("rect")) {
        EXPECT_TRUE(paper.holds(box_of(*rect)));
      }
      for (const Element* text : svg->all("text")) {
        const double x = text->number("x"), y = text->number("y");
        EXPECT_TRUE(paper.holds({x, y, x, y})) << text->text();
      }
    }
  }
}

TEST(Report, WhatIsExactLiesBeyondTheAxis) {
  for (const bool is_divergence : {false, true}) {
    ReportData data = is_divergence ? divergence_data() : sample_data();
    data.front.mixed.back().cost = data.front.mixed.back().squared_error = 0.0;
    // the best that is not exact, at the end of the axis
    data.front.uniform.back().cost = data.front.uniform.back().squared_error = 1e-6;
    const auto page = read_page(report_html(data));
    for (const std::string& id : both("front")) {
      const Element& svg = drawing(*page, id);
      const double exact = marks(svg, "circle", "pt").back()->number("cy");
      const Box best = box_of(*marks(svg, "rect", "un").back());
      const double beyond = (best.top + best.bottom) / 2 - exact;
      EXPECT_GT(is_divergence ? -beyond : beyond, 10.0);
    }
  }
}

TEST(Report, EveryTensorHasAMark) {
  const ReportData data = sample_data(80);
  const auto page = read_page(report_html(data));
  for (const std::string& id : both("tensors")) {
    const Element& svg = drawing(*page, id);
    const auto dots = marks(svg, "circle", "tm");
    ASSERT_EQ(dots.size(), data.tensors.size());
    for (std::size_t i = 0; i < dots.size(); ++i) {
      if (i > 0) {
        EXPECT_GE(dots[i]->number("cx"), dots[i - 1]->number("cx"));
      }
      EXPECT_TRUE(dots[i]->has_class(
          data.tensors[i].encoding ? "b" + std::to_string(data.tensors[i].encoding->bits()) : "kept"));
      EXPECT_NE(dots[i]->text().find(data.tensors[i].name), std::string::npos);
    }
    for (const std::size_t i : {0u, 1u, 2u}) {  // less error is higher
      EXPECT_LT(dots[i + 4]->number("cy"), dots[i]->number("cy"));
    }
  }
}

TEST(Report, ManyTensorsShareColumns) {
  const ReportData data = sample_data(3000);
  const std::string html = report_html(data);
  EXPECT_LT(html.size(), 1'500'000u);
  const auto page = read_page(html);
  for (const std::string& id : both("tensors")) {
    const Element& svg = drawing(*page, id);
    // The ribbon is full, and a colour's part of it is that of the tensors with so many bits.
    const auto ribbon = [&](const std::string& css) {
      double area = 0.0;
      for (const Element* rect : marks(svg, "rect", "rb"))
        if (css.empty() || rect->has_class(css)) area += rect->number("width") * rect->number("height");
      return area;
    };
    EXPECT_NEAR(ribbon("none") / ribbon(""), 0.25, 0.002);
    for (const char* css : {"b3", "b4", "b5"}) EXPECT_NEAR(ribbon(css) / ribbon(""), 0.25, 0.002);
    // What is in one column lies above one another, and all of it above the axis.
    const auto parts = marks(svg, "rect", "rb");
    const double axis = marks(svg, "line", "axis")[0]->number("y1");
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Box box = box_of(*parts[i]);
      EXPECT_LT(box.bottom, axis + 0.1);
      if (i > 0 && parts[i - 1]->number("x") == box.left) {
        EXPECT_NEAR(box.bottom, parts[i - 1]->number("y"), 0.03);
      }
    }
    // A column: every number of bits once, between the ends of its range.
    const auto dots = marks(svg, "circle", "tm");
    const auto bands = marks(svg, "line", "band");
    ASSERT_EQ(dots.size(), 3 * bands.size());
    EXPECT_GE(bands.size(), 50u);
    EXPECT_LE(bands.size(), 150u);
    for (std::size_t i = 0; i < dots.size(); ++i) {
      EXPECT_EQ(dots[i]->number("cx"), bands[i / 3]->number("x1"));
      EXPECT_LE(dots[i]->number("cy"), bands[i / 3]->number("y1") + 1.1);
      EXPECT_GE(dots[i]->number("cy"), bands[i / 3]->number("y2") - 1.1);
    }
  }
  const auto tables = marks(*page, "table", "tensors");
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0]->all("tr").size(), kMostWorstRows + 1);
  EXPECT_EQ(tables[1]->all("tr").size(), kMostTensorRows + 1);
}

TEST(Report, SharesAddUp) {
  const ReportData data = sample_data(12);  // 3 each: 3, 4, 5 bits, kept
  const auto page = read_page(report_html(data));
  for (const std::string& id : both("shares")) {
    const Element& svg = drawing(*page, id);
    std::map<double, std::vector<const Element*>> bars;
    for (const Element* segment : marks(svg, "rect", "seg")) bars[segment->number("y")].push_back(segment);
    ASSERT_EQ(bars.size(), 3u);
    const auto& weights = bars.begin()->second;
    ASSERT_EQ(weights.size(), 4u);
    const double full = box_of(*weights.back()).right + 1.5 - box_of(*weights.front()).left;
    for (const Element* segment : weights) EXPECT_NEAR(segment->number("width") + 1.5, full / 4, 0.1);
    const auto& bytes = std::next(bars.begin())->second;
    ASSERT_EQ(bytes.size(), 4u);
    EXPECT_NEAR((bytes[3]->number("width") + 1.5) / full, 16000.0 / (3250 + 4250 + 5250 + 16000), 0.001);
    EXPECT_EQ(bars.rbegin()->second.size(), 3u);  // what is kept has no error
  }
}

TEST(Report, HistogramHasABarABinAndAStemACode) {
  ReportData data = sample_data();
  for (const bool is_log : {false, true}) {
    data.histogram = sample_histogram();
    data.histogram->log_counts = is_log;
    const auto page = read_page(report_html(data));
    for (const std::string& id : both("histogram")) {
      const Element& svg = drawing(*page, id);
      const auto bars = marks(svg, "rect", "bar"), codes = marks(svg, "circle", "codept");
      ASSERT_EQ(bars.size(), 15u);  // the empty bin has none
      ASSERT_EQ(codes.size(), 30u);
      for (std::size_t i = 1; i < bars.size(); ++i)
        EXPECT_GT(bars[i]->number("height"), bars[i - 1]->number("height"));
      if (!is_log) {
        EXPECT_NEAR(bars[14]->number("height") / bars[0]->number("height"), 16.0, 0.05);
      }
      // code point 0 stands in the middle, below the edge between the bins that it parts
      EXPECT_NEAR(codes[7]->number("cx"), box_of(*bars[7]).left, 0.2);
      EXPECT_NEAR(codes[22]->number("cx"), codes[7]->number("cx"), 0.01);
      for (const Element* code : codes) EXPECT_GT(code->number("cy"), box_of(*bars[0]).bottom);
    }
  }
}

TEST(Report, TraceFallsTowardsItsBound) {
  ReportData data = full_data();
  data.bound = 0.5 * data.cost;
  const auto page = read_page(report_html(data));
  for (const std::string& id : both("trace")) {
    const Element& svg = drawing(*page, id);
    const auto points = marks(svg, "circle", "pt"), bounds = marks(svg, "line", "bound");
    ASSERT_EQ(points.size(), data.trace.size());
    ASSERT_EQ(bounds.size(), 1u);
    // costs fall by more than 20 times, so the axis is logarithmic
    const double first = points.front()->number("cy"), last = points.back()->number("cy");
    const auto expected_y = [&](double cost) {
      return std::lerp(first, last,
                       std::log(cost / data.trace.front().cost) /
                           std::log(data.trace.back().cost / data.trace.front().cost));
    };
    EXPECT_NEAR(bounds[0]->number("y1"), expected_y(data.bound), 0.2);
    for (std::size_t i = 0; i < points.size(); ++i) {
      EXPECT_NEAR(points[i]->number("cy"), expected_y(data.trace[i].cost), 0.2);
      EXPECT_LE(points[i]->number("cy"), bounds[0]->number("y1"));
      if (i > 1) {  // evaluations triple every time: even steps of a logarithm
        EXPECT_NEAR(points[i]->number("cx") - points[i - 1]->number("cx"),
                    points[1]->number("cx") - points[0]->number("cx"), 0.21);
      }
      if (i > 0) {
        EXPECT_GE(points[i]->number("cy"), points[i - 1]->number("cy"));
      }
    }
  }
  ReportData still = data;
  still.trace.resize(1);
  EXPECT_EQ(read_page(report_html(still))->by_id("trace"), nullptr);
}

TEST(Report, UniformMapMarksTheChoice) {
  const ReportData data = full_data();
  const auto page = read_page(report_html(data));
  EXPECT_EQ(page->with_class("cell").size(), data.uniform.size());
  const auto best = page->with_class("best");
  ASSERT_EQ(best.size(), 1u);
  EXPECT_EQ(best[0]->attribute("title"), "E1M2: cost 0.0050000, penalty 14");
  EXPECT_EQ(page->with_class("h7").size(), 1u);  // the least score: E0 of 3 bits
  EXPECT_EQ(page->with_class("h7")[0]->attribute("title"), "E0M2: cost 0.0030000, penalty 13");
}

TEST(Report, SaysWhatIsAnEstimate) {
  const auto has = [](const ReportData& data, const char* text) {
    return report_html(data).find(text) != std::string::npos;
  };
  EXPECT_TRUE(has(full_data(), "one block in 16 was measured"));
  EXPECT_TRUE(has(full_data(), "weighted by importance"));
  EXPECT_FALSE(has(sample_data(), "was measured"));
  EXPECT_FALSE(has(sample_data(), "importance"));
}

}  // namespace
}  // namespace afp::cli
