// What drawings are made of: escaped text, numbers, ticks, scales, labels that keep apart.
#include "host/cli/report/svg.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "host/cli/report/html_table.hpp"
#include "host/cli/report/markup.hpp"
#include "page.hpp"

namespace afp::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Markup, EscapesWhatIsMarkup) {
  EXPECT_EQ(escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escaped("plain äöü 重 😀"), "plain äöü 重 😀");
}

TEST(Markup, ShowsBytesThatAreNoText) {
  EXPECT_EQ(escaped(std::string("\0\t\n\x1f\x7f", 5)), "\\x00\\x09\\x0a\\x1f\\x7f");
  EXPECT_EQ(escaped("\xc2\x9b"), "\\xc2\\x9b");                    // U+009B, which some terminals obey
  EXPECT_EQ(escaped("\xe2\x80\xae"), "\\xe2\\x80\\xae");           // turns the direction of writing
  EXPECT_EQ(escaped("\xef\xbf\xbf"), "\\xef\\xbf\\xbf");           // U+FFFF, forbidden in XML
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // half of a surrogate pair
  EXPECT_EQ(escaped("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(escaped("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // overlong
  EXPECT_EQ(escaped("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_EQ(escaped("\xe9\x87"), "\\xe9\\x87");                    // cut off
  EXPECT_EQ(escaped("\xff<"), "\\xff&lt;");
  EXPECT_EQ(escaped("\xf4\x8f\xbf\xbd"), "\xf4\x8f\xbf\xbd");  // U+10FFFD is a character
  EXPECT_EQ(escaped("\xc2\xa0"), "\xc2\xa0");
}

TEST(Markup, WritesNumbers) {
  EXPECT_EQ(coordinate(1.0), "1");
  EXPECT_EQ(coordinate(10.25, 1), "10.2");
  EXPECT_EQ(coordinate(-0.01), "0");
  EXPECT_EQ(coordinate(100.0, 0), "100");
  EXPECT_EQ(coordinate(kInfinity), "0");
  EXPECT_EQ(fixed(-1.25, 1), "−1.2");
  EXPECT_EQ(fixed(-0.001, 1), "0.0");
  EXPECT_EQ(fixed(kInfinity, 2), "∞");
  EXPECT_EQ(fixed(-kInfinity, 2), "−∞");
  EXPECT_EQ(fixed(std::nan(""), 2), "–");
  EXPECT_EQ(significant(0.0012345, 3), "0.00123");
  EXPECT_EQ(significant(12.345, 3), "12.3");
  EXPECT_EQ(significant(35426.2, 6), "35426.2");
  EXPECT_EQ(significant(1234.0, 3), "1234");
  EXPECT_EQ(significant(1.5e-9, 3), "1.50e-09");
  EXPECT_EQ(significant(2e7, 3), "2.00e+07");
  EXPECT_EQ(significant(-0.5, 2), "−0.50");
  EXPECT_EQ(significant(0.0, 3), "0");
  EXPECT_EQ(percent(0.0), "0\u00A0%");
  EXPECT_EQ(percent(0.1234), "12.3\u00A0%");
  EXPECT_EQ(percent(0.0004), "0.04\u00A0%");
  EXPECT_EQ(percent(0.00004), "0.0040\u00A0%");
  EXPECT_EQ(percent(-0.057), "−5.7\u00A0%");
  EXPECT_EQ(size_words(3'520'000'000), "3.52\u00A0GB");
  EXPECT_EQ(size_words(12), "12\u00A0B");
  EXPECT_EQ(sqnr_words(1.0, 0.01), "20.00\u00A0dB");
  EXPECT_EQ(sqnr_words(1.0, 0.0), "exact");
}

TEST(Ticks, AreRoundAndFew) {
  EXPECT_EQ(linear_ticks(3.2, 6.6, 10), (std::vector<double>{3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5}));
  EXPECT_EQ(linear_ticks(0.0, 10.0, 11), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(linear_ticks(0.0, 10.0, 10), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(log_ticks(1.0, 1000.0, 5), (std::vector<double>{1, 10, 100, 1000}));
  std::mt19937_64 random(2);
  for (int i = 0; i < 5000; ++i) {
    const double low =
        std::ldexp(static_cast<double>(random() % 2000) - 1000.0, static_cast<int>(random() % 40) - 20);
    const double high =
        low + std::ldexp(1.0 + static_cast<double>(random() % 1000), static_cast<int>(random() % 30) - 20);
    const int most = 3 + static_cast<int>(random() % 12);
    const std::vector<double> ticks = linear_ticks(low, high, most);
    if (high - low < 1e-9 * std::abs(low)) continue;  // doubles are too coarse to tell
    ASSERT_GE(ticks.size(), 1u) << low << " " << high;
    ASSERT_LE(ticks.size(), static_cast<std::size_t>(most));
    ASSERT_GE(4 * (ticks.size() + 1), static_cast<std::size_t>(most)) << low << " " << high << " " << most;
    for (std::size_t t = 0; t < ticks.size(); ++t) {
      ASSERT_GE(ticks[t], low - 1e-6 * (high - low));
      ASSERT_LE(ticks[t], high + 1e-6 * (high - low));
    }
    if (ticks.size() > 1) {
      double step = ticks[1] - ticks[0];
      step /= std::pow(10.0, std::floor(std::log10(step) + 1e-3));
      const bool is_round =
          std::abs(step - 1) < 1e-2 || std::abs(step - 2) < 1e-3 || std::abs(step - 5) < 1e-3;
      ASSERT_TRUE(is_round) << step;
    }
    const std::vector<std::string> texts = tick_texts(ticks);
    ASSERT_EQ(texts.size(), ticks.size());
  }
}

TEST(Ticks, OfAnEmptyDomainAreOne) {
  EXPECT_EQ(linear_ticks(3.0, 3.0, 5), std::vector<double>{3.0});
  EXPECT_EQ(linear_ticks(1e300, std::nextafter(1e300, kInfinity), 5), std::vector<double>{1e300});
  EXPECT_EQ(linear_ticks(0.0, kInfinity, 5), std::vector<double>{0.0});
}

TEST(Ticks, LogarithmicOnesAreFewToo) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 5000; ++i) {
    const double low = std::pow(10.0, static_cast<double>(random() % 3000) / 100.0 - 15.0);
    const double high = low * std::pow(10.0, 0.01 + static_cast<double>(random() % 2000) / 100.0);
    const int most = 3 + static_cast<int>(random() % 8);
    const std::vector<double> ticks = log_ticks(low, high, most);
    ASSERT_GE(ticks.size(), 1u) << low << " " << high;
    ASSERT_LE(ticks.size(), static_cast<std::size_t>(most)) << low << " " << high;
    for (std::size_t t = 0; t < ticks.size(); ++t) {
      ASSERT_GE(ticks[t], low * (1.0 - 1e-6));
      ASSERT_LE(ticks[t], high * (1.0 + 1e-6));
      if (t > 0) {
        ASSERT_GT(ticks[t], ticks[t - 1]);
      }
    }
    const std::vector<std::string> texts = tick_texts(ticks);
    ASSERT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), texts.size());
  }
}

TEST(Ticks, TextsHaveTheDecimalsTheyNeed) {
  EXPECT_EQ(tick_texts({3.5, 4.0, 4.5}), (std::vector<std::string>{"3.5", "4.0", "4.5"}));
  EXPECT_EQ(tick_texts({-5.0, 0.0, 5.0}), (std::vector<std::string>{"−5", "0", "5"}));
  EXPECT_EQ(tick_texts({0.0, 0.02, 0.04}), (std::vector<std::string>{"0.00", "0.02", "0.04"}));
  EXPECT_EQ(tick_texts({0.01, 0.1, 1.0, 10.0}), (std::vector<std::string>{"0.01", "0.1", "1", "10"}));
  EXPECT_EQ(tick_texts({0.0, 500.0, 1000.0}), (std::vector<std::string>{"0", "500", "1000"}));
  EXPECT_EQ(tick_texts({0.0, 5000.0, 10000.0}), (std::vector<std::string>{"0", "5,000", "10,000"}));
  EXPECT_EQ(tick_texts({1e8, 2e8}), (std::vector<std::string>{"1e+08", "2e+08"}));
}

TEST(Scales, MapTheirDomain) {
  const Scale linear(Scale::Kind::linear, 10.0, 20.0, 100.0, 0.0);
  EXPECT_DOUBLE_EQ(linear(10.0), 100.0);
  EXPECT_DOUBLE_EQ(linear(12.5), 75.0);
  EXPECT_DOUBLE_EQ(linear(1000.0), 0.0);
  EXPECT_DOUBLE_EQ(linear(-kInfinity), 100.0);
  EXPECT_DOUBLE_EQ(linear(std::nan("")), 100.0);
  const Scale log(Scale::Kind::log, 1.0, 100.0, 0.0, 50.0);
  EXPECT_DOUBLE_EQ(log(10.0), 25.0);
  EXPECT_DOUBLE_EQ(log(0.0), 0.0);
  for (const double only : {0.0, 5.0, -3.0, 1e300}) {  // one value lies in the middle
    EXPECT_DOUBLE_EQ(Scale(Scale::Kind::linear, only, only, 0.0, 10.0)(only), 5.0);
    if (only > 0.0) {
      EXPECT_NEAR(Scale(Scale::Kind::log, only, only, 0.0, 10.0)(only), 5.0, 1e-9);
    }
  }
}

TEST(Labels, KeepApart) {
  std::mt19937_64 random(4);
  const Box area{0, 0, 400, 300};
  for (int round = 0; round < 50; ++round) {
    LabelPlacer placer(area);
    std::vector<Box> placed;
    const Box blocked{100, 100, 200, 150};
    placer.block(blocked);
    placed.push_back(blocked);
    for (int i = 0; i < 40; ++i) {
      const double x = static_cast<double>(random() % 400), y = static_cast<double>(random() % 300);
      const auto label = placer.place(x, y, 8, 60, 12, static_cast<LabelPlacer::Prefer>(random() % 3));
      if (!label) continue;
      EXPECT_TRUE(area.holds(label->box));
      for (const Box& other : placed) EXPECT_FALSE(label->box.overlaps(other));
      EXPECT_FALSE(label->box.overlaps({x - 2, y - 2, x + 2, y + 2})) << "covers its point";
      EXPECT_LE(std::abs((label->box.top + label->box.bottom) / 2 - y), 8 + 8 + 12);
      placed.push_back(label->box);
    }
    EXPECT_GT(placed.size(), 10u);
  }
}

TEST(Labels, GoWhereTheyAreWanted) {
  LabelPlacer placer({0, 0, 100, 100});
  const auto left = placer.place(50, 50, 5, 20, 10, LabelPlacer::Prefer::above_left);
  ASSERT_TRUE(left);
  EXPECT_LE(left->box.right, 50.0);
  EXPECT_LE(left->box.bottom, 50.0);
  EXPECT_EQ(left->anchor, Anchor::end);
  EXPECT_EQ(left->x(), left->box.right);
  const auto right = placer.place(50, 50, 5, 20, 10);
  ASSERT_TRUE(right);
  EXPECT_GE(right->box.left, 50.0);
  EXPECT_FALSE(placer.place(50, 50, 5, 200, 10));
}

TEST(Svg, IsWellFormed) {
  Svg svg("id", "wide", 100, 50, "a < b", "\"c\" & d");
  svg.line(0, 0, 1, 1, "x", "n<o>te");
  svg.rect({0, 0, 10, 5}, "y");
  svg.circle(1, 2, 3, "z", "&");
  svg.square(5, 5, 2, "w");
  svg.polyline({{0, 0}, {1, 1}}, "p");
  svg.polyline({}, "p");
  svg.text(0, 0, "t", Anchor::end, "<tspan>");
  const auto root = read_page("<!DOCTYPE html>\n" + svg.text());
  EXPECT_EQ(root->name, "svg");
  EXPECT_EQ(root->children.size(), 8u);  // title, desc, 6 marks
  EXPECT_EQ(root->all("desc")[0]->text(), "\"c\" & d");
  EXPECT_EQ(root->all("line")[0]->text(), "n<o>te");
  EXPECT_EQ(root->all("text")[0]->text(), "<tspan>");
  EXPECT_EQ(root->all("polyline")[0]->attribute("points"), "0,0 1,1");
}

TEST(HtmlTable, HasARowHeadingAndSortableColumns) {
  HtmlTable table("a < b", {{"Name", "name", true}, {"x & y", "n"}}, "css");
  EXPECT_TRUE(table.empty());
  table.add({{"one"}, {"1.0", "1"}});
  EXPECT_FALSE(table.empty());
  const auto root = read_page("<!DOCTYPE html>" + table.text());
  EXPECT_EQ(root->all("caption")[0]->text(), "a < b");
  const auto headings = root->all("th");
  ASSERT_EQ(headings.size(), 3u);
  EXPECT_EQ(headings[0]->attributes.count("data-sort"), 1u);
  EXPECT_EQ(headings[1]->attributes.count("data-sort"), 0u);
  EXPECT_EQ(headings[2]->attribute("scope"), "row");
  EXPECT_EQ(root->all("td")[0]->attribute("data-v"), "1");
}

TEST(PageReader, RefusesWhatIsNotWellFormed) {
  for (const char* page :
       {"<!DOCTYPE html><a><b></a></b>", "<!DOCTYPE html><a>&nbsp;</a>", "<!DOCTYPE html><a b=c/>",
        "<!DOCTYPE html><a b=\"<\"/>", "<!DOCTYPE html><a>", "<!DOCTYPE html><a/><b/>", "<a/>",
        "<!DOCTYPE html><a b=\"1\" b=\"2\"/>", "<!DOCTYPE html><a>\x01</a>"})
    EXPECT_THROW(read_page(page), std::runtime_error) << page;
}

}  // namespace
}  // namespace afp::cli
