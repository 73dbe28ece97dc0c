// The HTML report: read back as XML, its marks measured against the data.
#include "host/cli/report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "host/cli/report_front.hpp"
#include "host/cli/report_tables.hpp"
#include "host/cli/svg.hpp"
#include "page.hpp"

namespace afp::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A front of every quarter of a bit from 3 to 6, 6 dB a bit, and of single Encodings that are 1 dB worse.
ReportData sample_data(std::size_t tensors = 12) {
  ReportData data;
  data.model = "model";
  data.command = "afp search model -o plan.json --target-bpw 4.25 --report report.html";
  data.program = "afp 1.0";
  data.method = "exact";
  data.budget = "4.25 bits per weight";
  data.candidates = "N=3..6,block=32";
  data.weights = 8000 * tensors;
  data.signal = 100.0;
  const auto error_at = [&](double bpw, double loss) {
    return data.signal * std::pow(10.0, -(6.0 * bpw - loss) / 10.0);
  };
  const auto bytes_at = [&](double bpw) {
    return static_cast<std::uint64_t>(std::llround(bpw * static_cast<double>(data.weights) / 8.0));
  };
  for (double bpw = 3.25; bpw <= 6.25; bpw += 0.25)
    data.front.mixed.push_back({bytes_at(bpw), bpw, error_at(bpw, 4.0), error_at(bpw, 4.0)});
  for (const char* text : {"E1M1/32/e8m0", "E2M1/32/e8m0", "E1M2/32/e8m0", "E2M2/32/e8m0", "E2M3/32/e8m0"}) {
    const Encoding encoding = parse_encoding(text);
    const double bpw = encoding.bits() + 0.25, loss = encoding == parse_encoding("E1M2/32/e8m0") ? 6.5 : 5.0;
    data.front.uniform.push_back({encoding, bytes_at(bpw), bpw, error_at(bpw, loss), error_at(bpw, loss)});
  }
  data.selected_bytes = bytes_at(4.25);
  data.cost = data.squared_error = error_at(4.25, 4.0);
  data.bound = 0.999 * data.cost;
  data.gap = 0.001;
  data.file_bytes = data.selected_bytes + 5000;
  data.source_bytes = 2 * data.weights + 5000;
  data.evaluations = 1234;
  const char* encodings[] = {"E1M1/32/e8m0", "E2M1/32/e8m0", "E2M2/32/e8m0"};
  for (std::size_t i = 0; i < tensors; ++i) {
    ReportTensor tensor;
    tensor.name = "layers." + std::to_string(i) + ".weight";
    tensor.shape = {100, 80};
    tensor.signal = 10.0;
    if (i % 4 == 3) {
      tensor.kept = "rule";
      tensor.bytes = 16000;
    } else {
      tensor.encoding = parse_encoding(encodings[i % 4]);
      tensor.bytes = 1000 * static_cast<std::uint64_t>(tensor.encoding->bits()) + 250;
      tensor.squared_error = 10.0 * std::pow(10.0, -(1.0 + 0.05 * static_cast<double>(i % 20)));
    }
    data.tensors.push_back(tensor);
  }
  return data;
}

ReportHistogram sample_histogram() {
  ReportHistogram histogram;
  histogram.tensor = "layers.0.weight";
  histogram.encoding = parse_encoding("E1M2+E2M1/16/ue4m3");
  for (int i = -8; i <= 8; ++i) histogram.edges.push_back(i);
  for (int i = 0; i < 16; ++i)
    histogram.counts.push_back(i == 3 ? 0 : static_cast<std::uint64_t>(10 * (i + 1)));
  for (const char* text : {"E1M2", "E2M1"}) {
    ReportHistogram::Codes codes{parse_format(text), {}};
    for (int value = -7; value <= 7; ++value)
      codes.points.push_back({static_cast<double>(value), static_cast<std::uint64_t>(3 * (value + 7))});
    histogram.codes.push_back(codes);
  }
  return histogram;
}

// Everything that a page can hold at once.
ReportData full_data(std::size_t tensors = 12) {
  ReportData data = sample_data(tensors);
  data.weighted = true;
  data.sample = 16;
  data.histogram = sample_histogram();
  data.seconds = 1.5;
  double cost = 40.0 * data.cost;
  for (std::uint64_t evaluations = 1; evaluations < 100000;
       evaluations *= 3, cost = data.cost + 0.5 * (cost - data.cost))
    data.trace.push_back({evaluations, 0.001 * static_cast<double>(evaluations), cost});
  for (int bits = 3; bits <= 8; ++bits)
    for (int exponent = 0; exponent < bits; ++exponent)
      data.uniform.push_back(
          {bits, exponent, 1e-3 * (bits + exponent), 10.0 + bits, 1e-3 * (bits + exponent) * (10.0 + bits)});
  data.uniform_chosen = 4;
  data.penalty_exponent = 1.0;
  return data;
}

ReportData divergence_data() {
  ReportData data = sample_data();
  data.objective = Objective::kl;
  return data;
}

// A name in a list of bytes that HTML, XML, terminals and readers take for something else.
const char* const kHardNames[] = {"</script><script>alert(1)</script>",
                                  "a<b>&\"c'd",
                                  "nul\x01\x1b[2J\n\t\x7f",
                                  "\xff\xfe broken \xc3( \xed\xa0\x80 \xf5\x80\x80\x80 \xc0\x80",
                                  "turned \xe2\x80\xae round",
                                  "]]>--><!--",
                                  "&amp;lt;",
                                  "größe.重み.вес",
                                  ""};

std::vector<ReportData> extremes() {
  std::vector<ReportData> all = {ReportData{},   sample_data(),  full_data(),   divergence_data(),
                                 sample_data(1), full_data(400), sample_data(0)};
  ReportData named = full_data(std::size(kHardNames));
  for (std::size_t i = 0; i < named.tensors.size(); ++i)
    named.tensors[i].name = named.tensors[i].kept = kHardNames[i];
  named.model = named.command = named.program = named.budget = named.candidates = named.method =
      kHardNames[1];
  named.histogram->tensor = kHardNames[0];
  all.push_back(named);

  ReportData exact = full_data();  // nothing is lost anywhere
  exact.squared_error = exact.cost = exact.bound = 0.0;
  exact.gap = 0.0;
  for (ModelFrontPoint& point : exact.front.mixed) point.cost = point.squared_error = 0.0;
  for (UniformPoint& point : exact.front.uniform) point.cost = point.squared_error = 0.0;
  for (ReportTensor& tensor : exact.tensors)
    if (tensor.encoding) tensor.squared_error = 0.0;
  all.push_back(exact);
  exact.objective = Objective::kl_seed;
  all.push_back(exact);

  ReportData partly = sample_data();  // only the largest
  partly.front.mixed.back().cost = partly.front.mixed.back().squared_error = 0.0;
  all.push_back(partly);
  partly.objective = Objective::kl;
  all.push_back(partly);

  ReportData worse = sample_data();  // than nothing: more error than signal, a single point, no gap
  worse.front.mixed = {{worse.selected_bytes, 4.25, 1000.0, 1000.0}};
  worse.front.uniform.clear();
  worse.squared_error = worse.cost = 1000.0;
  worse.gap = kInfinity;
  worse.bound = 0.0;
  for (ReportTensor& tensor : worse.tensors) tensor.squared_error.reset();
  all.push_back(worse);

  ReportData kept = sample_data();  // all of it
  for (ReportTensor& tensor : kept.tensors) tensor.encoding.reset();
  kept.weights = kept.selected_bytes = 0;
  kept.signal = kept.squared_error = kept.cost = kept.bound = 0.0;
  kept.front = {};
  all.push_back(kept);
  return all;
}

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

TEST(ReportFront, FindsTheSmallestMix) {
  const ReportData data = sample_data();
  for (const UniformPoint& single : data.front.uniform) {
    const double quality = quality_of(data, single.cost, single.squared_error);
    for (const double wanted : {quality, within_one_percent(data, quality)}) {
      const ModelFrontPoint* expected = nullptr;
      for (const ModelFrontPoint& point : data.front.mixed)
        if (10.0 * std::log10(data.signal / point.squared_error) >= wanted &&
            (expected == nullptr || point.bytes < expected->bytes))
          expected = &point;
      EXPECT_EQ(smallest_reaching(data, wanted), expected);
    }
    EXPECT_NEAR(within_one_percent(data, quality), 0.99 * quality, 1e-12);
  }
  EXPECT_EQ(smallest_reaching(data, 100.0), nullptr);

  const ReportData divergence = divergence_data();
  EXPECT_EQ(smallest_reaching(divergence, divergence.front.mixed[5].cost), &divergence.front.mixed[5]);
  EXPECT_EQ(smallest_reaching(divergence, 0.999 * divergence.front.mixed[5].cost),
            &divergence.front.mixed[6]);
  EXPECT_DOUBLE_EQ(within_one_percent(divergence, 2.0), 2.02);
}

TEST(ReportFront, AnswersWithAnOptionToPaste) {
  // 5 bits everywhere: 5.25 bpw, 6 * 5.25 - 5 = 26.5 dB. The mix has 6 bpw - 4 dB: 26.5 at 5.083, so 5.25 of
  // the quarters; 99 % of it, 26.235 at 5.04, so 5.25 again. 6 bits: 32.5 at 6.083, so 6.25; 32.175
  // at 6.03, 6.25.
  const auto page = read_page(report_html(sample_data()));
  const auto tables = marks(*page, "table", "answers");
  ASSERT_EQ(tables.size(), 1u);
  const auto rows = tables[0]->all("tr");
  ASSERT_EQ(rows.size(), 6u);
  const auto options = rows[4]->with_class("opt-text");
  EXPECT_NE(rows[4]->text().find("E2M2/32/e8m0"), std::string::npos);
  ASSERT_EQ(options.size(), 2u);
  EXPECT_EQ(options[0]->text(), "--target-bpw 5.250");
  EXPECT_EQ(options[1]->text(), "--target-bpw 5.250");
}

TEST(ReportFront, OptionsAskForNoLessThanThePoint) {
  EXPECT_EQ(target_option(4.0), "--target-bpw 4.000");
  EXPECT_EQ(target_option(4.25), "--target-bpw 4.250");
  EXPECT_EQ(target_option(4.2501), "--target-bpw 4.251");
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t weights = 1 + random() % 10'000'000'000, bytes = 1 + random() % (2 * weights);
    const double bpw = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
    const double asked = std::stod(target_option(bpw).substr(13));
    EXPECT_GE(asked * (1.0 + 1e-11), bpw);
    EXPECT_LT(asked, bpw + 0.001 + 1e-9);
  }
}

TEST(ReportFront, KnowsWhichSingleEncodingsMatter) {
  const ReportData data = sample_data();  // E1M2 is as large as E2M1, and worse
  EXPECT_EQ(undominated(data), (std::vector<bool>{true, true, false, true, true}));
  EXPECT_EQ(nearest_single(data)->encoding, parse_encoding("E2M1/32/e8m0"));
  EXPECT_EQ(nearest_single(ReportData{}), nullptr);
}

TEST(ReportData, TakesWhatASearchKnows) {
  ModelSearchResult result;
  CostTable table;
  table.objective = Objective::kl;
  table.weighted = true;
  table.sample = 4;
  table.candidates = {parse_encoding("E2M1/32/e8m0"), parse_encoding("E2M2/32/e8m0")};
  std::vector<TensorInfo> tensors = {
      {"kept", DType::BF16, {4}}, {"b", DType::BF16, {4, 32}}, {"a", DType::F32, {2, 32}}};
  result.plan.tensors = {{"kept", std::nullopt, "1-D", 8, std::nullopt},
                         {"b", parse_encoding("E2M2/32/e8m0"), "", 84, 0.5},
                         {"a", parse_encoding("E2M1/32/e8m0"), "", 34, 0.25}};
  table.tensors = {{tensors[1], "", 7.0, {CandidateCost{1.0, 2.0}, CandidateCost{0.5, 1.5}}},
                   {tensors[2], "", 3.0, {std::nullopt, CandidateCost{0.5, 0.75}}}};
  result.search.cost = 0.75;
  result.search.gap = 0.5;
  result.search.trace = {{1, 0.0, 2.0}, {9, 0.1, 0.75}};
  result.weights = 192;
  result.selected_bytes = 118;
  result.file_bytes = 400;
  const ReportData data = report_data(result, {}, table, tensors);
  ASSERT_EQ(data.tensors.size(), 3u);
  EXPECT_EQ(data.tensors[0].kept, "1-D");
  EXPECT_EQ(data.tensors[1].squared_error, 1.5);
  EXPECT_EQ(data.tensors[1].signal, 7.0);
  EXPECT_EQ(data.tensors[1].shape, (Shape{4, 32}));
  EXPECT_EQ(data.tensors[2].squared_error, std::nullopt);
  EXPECT_EQ(data.objective, Objective::kl);
  EXPECT_TRUE(data.weighted);
  EXPECT_EQ(data.sample, 4u);
  EXPECT_EQ(data.gap, 0.5);
  EXPECT_EQ(data.trace.size(), 2u);
  EXPECT_EQ(data.file_bytes, 400u);
  EXPECT_NEAR(data.bpw(), 8.0 * 118 / 192, 1e-12);
  result.search.gap = kInfinity;
  EXPECT_EQ(report_data(result, {}, table, tensors).gap, std::nullopt);
  read_page(report_html(data));
}

}  // namespace
}  // namespace afp::cli
