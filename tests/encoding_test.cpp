// The text form of Encodings: what is read, what is printed, what is refused and how.
#include "afp/encoding.hpp"

#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "reference.hpp"

namespace afp {
namespace {

const std::vector<std::pair<std::string, Block>> kBlocks = {
    {"tensor", {BlockKind::tensor, 0}}, {"row", {BlockKind::row, 0}},   {"16", {BlockKind::small, 16}},
    {"32", {BlockKind::small, 32}},     {"64", {BlockKind::small, 64}}, {"128", {BlockKind::small, 128}}};

TEST(Encoding, EveryFormRoundTrips) {
  for (const auto& [block_text, block] : kBlocks) {
    for (const Format format : reference::all_formats()) {
      for (const ScaleKind scale : {ScaleKind::e8m0, ScaleKind::ue4m3}) {
        const std::string text =
            to_string(format) + "/" + block_text + (scale == ScaleKind::e8m0 ? "/e8m0" : "/ue4m3");
        const Encoding encoding = parse_encoding(text);
        EXPECT_EQ(encoding, (Encoding{format, std::nullopt, block, scale})) << text;
        EXPECT_EQ(to_string(encoding), text);
        EXPECT_EQ(encoding.bits(), format.bits());
        EXPECT_EQ(encoding.format_count(), 1);
      }
      for (const Format other : reference::all_formats()) {
        if (other.bits() != format.bits() || other == format) continue;
        const std::string text = to_string(format) + "+" + to_string(other) + "/" + block_text + "/ue4m3";
        const Encoding encoding = parse_encoding(text);
        EXPECT_EQ(encoding, (Encoding{format, other, block, ScaleKind::ue4m3})) << text;
        EXPECT_EQ(to_string(encoding), text);
        EXPECT_EQ(encoding.format_count(), 2);
      }
    }
  }
}

TEST(Encoding, LeftOutScaleFollowsTheBlock) {
  EXPECT_EQ(to_string(parse_encoding("E2M1/tensor")), "E2M1/tensor/e8m0");
  EXPECT_EQ(to_string(parse_encoding("E3M2/row")), "E3M2/row/e8m0");
  for (const std::string size : {"16", "32", "64", "128"})
    EXPECT_EQ(to_string(parse_encoding("E2M1/" + size)), "E2M1/" + size + "/ue4m3");
  EXPECT_EQ(to_string(parse_encoding("E1M2+E2M1/row")), "E1M2+E2M1/row/ue4m3");  // two Formats need it
  for (const auto& [text, block] : kBlocks)
    EXPECT_EQ(default_scale(block), block.kind == BlockKind::small ? ScaleKind::ue4m3 : ScaleKind::e8m0)
        << text;
}

TEST(Encoding, UniformGridsAreReadUnderTheirOtherName) {
  EXPECT_EQ(to_string(parse_encoding("E0M3+E2M1/16")), "E1M2+E2M1/16/ue4m3");
  EXPECT_EQ(to_string(parse_encoding("E0M7/tensor")), "E1M6/tensor/e8m0");
}

TEST(Encoding, TheTopBitOfTheScaleChoosesTheFormat) {
  const Encoding pair = parse_encoding("E1M2+E2M1/16"), single = parse_encoding("E2M1/16"),
                 e8m0 = parse_encoding("E2M1/32/e8m0");
  for (int byte = 0; byte < 256; ++byte) {
    const auto scale = static_cast<std::uint8_t>(byte);
    EXPECT_EQ(pair.format_of(scale), byte < 128 ? (Format{1, 2}) : (Format{2, 1}));
    EXPECT_EQ(single.format_of(scale), (Format{2, 1}));
    EXPECT_EQ(e8m0.format_of(scale), (Format{2, 1}));
  }
}

TEST(Encoding, DefaultsOfBits) {
  const char* const expected[] = {"E1M0/16/ue4m3",      "E1M1+E2M0/16/ue4m3", "E1M2+E2M1/16/ue4m3",
                                  "E1M3+E2M2/16/ue4m3", "E1M4+E2M3/16/ue4m3", "E1M5+E2M4/16/ue4m3",
                                  "E1M6+E2M5/16/ue4m3"};
  for (int bits = 2; bits <= 8; ++bits) {
    const auto encoding = default_encoding(bits, {BlockKind::small, 16}, ScaleKind::ue4m3);
    ASSERT_TRUE(encoding);
    EXPECT_EQ(to_string(*encoding), expected[bits - 2]);
    for (const auto& [text, block] : kBlocks)
      EXPECT_FALSE(default_encoding(bits, block, ScaleKind::e8m0)) << text;
  }
}

void expect_refused(const std::string& text, const std::string& message) {
  expect_error<UsageError>([&] { parse_encoding(text); }, message);
}

TEST(Encoding, RefusesAnotherNumberOfParts) {
  for (const std::string text : {"", "E2M1", "E2M1+E1M2", "16", "E2M1/16/ue4m3/", "E2M1/16/ue4m3/x", "////"})
    expect_refused(text, "not an Encoding: '" + text + "'; expected FORMAT[+FORMAT]/BLOCK[/SCALE]");
}

TEST(Encoding, RefusesAPartThatIsNotOne) {
  const std::string format = "; expected E<exponent bits>M<mantissa bits>, as E2M1";
  expect_refused("/16", "not a Format: ''" + format);
  expect_refused("e2m1/16", "not a Format: 'e2m1'" + format);
  expect_refused("E2M1+/16", "not a Format: ''" + format);
  expect_refused("+E2M1/16", "not a Format: ''" + format);
  expect_refused("E1M2+E2M1+E3M0/16", "not a Format: 'E2M1+E3M0'" + format);
  expect_refused("E2M1 /16", "not a Format: 'E2M1 '" + format);
  expect_refused("E5M3/16",
                 "Format E5M3 has 9 bits with its sign; expected 2 to 8, at least one of them exponent");
  for (const std::string block : {"", "17", "016", "+16", "16 ", "8", "256", "Row", "tensors"})
    expect_refused("E2M1/" + block, "not a block: '" + block + "'; expected tensor, row, 16, 32, 64 or 128");
  for (const std::string scale : {"", "E8M0", "e8m0 ", "e4m3", "ue4m3x"})
    expect_refused("E2M1/16/" + scale, "not a scale: '" + scale + "'; expected e8m0 or ue4m3");
}

TEST(Encoding, RefusesFormatsThatDoNotGoTogether) {
  expect_refused("E1M2+E2M1/16/e8m0",
                 "Encoding 'E1M2+E2M1/16/e8m0': two Formats need the scale ue4m3, whose top bit chooses");
  expect_refused("E1M2+E2M2/16", "Encoding 'E1M2+E2M2/16': its Formats have 4 and 5 bits; expected equal");
  expect_refused("E2M1+E2M1/16", "Encoding 'E2M1+E2M1/16' names the same Format twice");
  expect_refused("E0M3+E1M2/16", "Encoding 'E0M3+E1M2/16' names the same Format twice");
}

}  // namespace
}  // namespace afp
