// The command line's text: sizes, shortened names, quoted commands, tables, the progress bar.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "host/cli/progress_display.hpp"
#include "host/cli/size_text.hpp"
#include "host/cli/table.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

TEST(SizeText, ReadsDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_size("512"), 512u);
  EXPECT_EQ(parse_size("512B"), 512u);
  EXPECT_EQ(parse_size("128MB"), 128'000'000u);
  EXPECT_EQ(parse_size("128MiB"), std::uint64_t{128} << 20);
  EXPECT_EQ(parse_size("3.5GB"), 3'500'000'000u);
  EXPECT_EQ(parse_size("3.5gib"), std::uint64_t{3584} << 20);
  EXPECT_EQ(parse_size(".5kB"), 500u);
  EXPECT_EQ(parse_size("2TB"), 2'000'000'000'000u);
  EXPECT_EQ(parse_size("1TiB"), std::uint64_t{1} << 40);
}

TEST(SizeText, RefusesWhatIsNoSize) {
  for (const char* text : {"", "GB", "-1GB", "+1GB", "1 GB", "1XB", "1G", "1GBs", "1e3", "inf", "nan", "0x10",
                           "1,5GB", "99999999999TB", "."})
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
}

TEST(SizeText, PrintsThreeDigits) {
  EXPECT_EQ(size_text(0), "0B");
  EXPECT_EQ(size_text(999), "999B");
  EXPECT_EQ(size_text(1000), "1.00kB");
  EXPECT_EQ(size_text(12'340), "12.3kB");
  EXPECT_EQ(size_text(999'499), "999kB");
  EXPECT_EQ(size_text(999'500), "1.00MB");
  EXPECT_EQ(size_text(9'996), "10.0kB");
  EXPECT_EQ(size_text(99'960), "100kB");
  EXPECT_EQ(size_text(2'147'483'648), "2.15GB");
  EXPECT_EQ(size_text(UINT64_MAX), "18446744TB");
}

TEST(Text, ShortensTheMiddle) {
  EXPECT_EQ(shorten("abcdefghij", 10), "abcdefghij");
  EXPECT_EQ(shorten("abcdefghij", 9), "abc...hij");
  EXPECT_EQ(shorten("abcdefghij", 8), "ab...hij");
  EXPECT_EQ(shorten("abcdefghij", 3), "...");
  EXPECT_EQ(shorten("abcdefghij", 0), "");
  // code points stay whole
  EXPECT_EQ(shorten("äöüßäöüßäö", 9), "äöü...ßäö");
  EXPECT_EQ(display_width("äöü"), 3u);
}

TEST(Text, HidesControlCharacters) {
  EXPECT_EQ(printable("a\x1b[2J\nb\x7f"), "a\\x1b[2J\\x0ab\\x7f");
}

TEST(Text, QuotesForTheShell) {
  EXPECT_EQ(shell_command(std::vector<std::string>{"afp", "my model", "--set", "a=E2M1/32", "it's", ""}),
            R"(afp 'my model' --set a=E2M1/32 'it'\''s' '')");
  EXPECT_EQ(shell_quoted("q|k"), "'q|k'");
  EXPECT_EQ(shell_quoted("$HOME"), "'$HOME'");
  EXPECT_EQ(shell_quoted("~"), "'~'");
}

TEST(Text, FindsTheNearestWord) {
  EXPECT_EQ(nearest("--bit", {"--block", "--bits"}), "--bits");
  EXPECT_EQ(nearest("quantise", {"inspect", "quantize", "dequantize"}), "quantize");
  EXPECT_EQ(nearest("--xyz", {"--block", "--bits"}), "");
}

TEST(Text, CountsThings) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(1234567), "1,234,567");
  EXPECT_EQ(plural(1, "tensor"), "1 tensor");
  EXPECT_EQ(plural(0, "tensor"), "0 tensors");
}

TEST(Table, AlignsAndShortensTheFirstColumn) {
  Table table({{"name"}, {"bits", Table::Align::right}});
  table.add({"a", "4"});
  table.add({"a.very.long.name.of.a.weight", "16"});
  EXPECT_EQ(table.text(),
            "name                          bits\n"
            "a                                4\n"
            "a.very.long.name.of.a.weight    16\n");
  EXPECT_EQ(table.text(2, 28),
            "  name                  bits\n"
            "  a                        4\n"
            "  a.very.l....a.weight    16\n");
  // never so narrow that names say nothing
  EXPECT_NE(table.text(0, 5).find("a.very....weight"), std::string::npos) << table.text(0, 5);
}

TEST(ProgressLine, FitsEveryWidth) {
  const Progress progress{1'234'000'000, 2'468'000'000, "model.layers.31.self_attn.q_proj.weight"};
  for (std::size_t width = 1; width <= 200; ++width)
    EXPECT_LE(display_width(progress_line(progress, 850e6, width)), width);
  EXPECT_EQ(progress_line(progress, 850e6, 79),
            " 50% [########........]  1.23GB of 2.47GB   850MB/s   0:01 left  model...weight");
  EXPECT_EQ(progress_line(progress, 850e6, 30), " 50%  1.23GB of 2.47GB");
  EXPECT_EQ(progress_line(progress, 850e6, 10), " 50%");
}

TEST(ProgressLine, SaysHundredOnlyAtTheEnd) {
  EXPECT_EQ(progress_line({999'999, 1'000'000, ""}, 0.0, 10).substr(0, 4), " 99%");
  EXPECT_EQ(progress_line({1'000'000, 1'000'000, ""}, 0.0, 10).substr(0, 4), "100%");
  EXPECT_EQ(progress_line({0, 0, ""}, 0.0, 10).substr(0, 4), "100%");
}

TEST(ClockText, MinutesAndHours) {
  EXPECT_EQ(clock_text(0.4), "0:00");
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(754), "12:34");
  EXPECT_EQ(clock_text(3 * 3600), "3:00:00");
}

}  // namespace
}  // namespace afp::cli
