// Candidate spaces: what a text means, what it lists, and what is refused.
#include "afp/candidates.hpp"

#include <gtest/gtest.h>

#include <set>

#include "afp/error.hpp"
#include "expect_error.hpp"

namespace afp {
namespace {

std::vector<std::string> texts(const CandidateSpace& space) {
  std::vector<std::string> all;
  for (const Encoding& encoding : space.encodings()) all.push_back(to_string(encoding));
  return all;
}
std::vector<std::string> texts(std::string_view text) {
  return texts(parse_candidates(text));
}
using Texts = std::vector<std::string>;

TEST(Candidates, OfSmallBlocksArePairs) {
  EXPECT_EQ(texts("N=2..4,block=32"), (Texts{"E1M0/32/ue4m3", "E1M1+E2M0/32/ue4m3", "E1M2+E2M1/32/ue4m3"}));
}

TEST(Candidates, OfPowersOfTwoAreAllFormats) {
  EXPECT_EQ(texts("N=3,block=tensor"), (Texts{"E1M1/tensor/e8m0", "E2M0/tensor/e8m0"}));
  EXPECT_EQ(texts("N=2..8,block=row").size(), 28u);
  std::set<std::string> different;
  for (const std::string& text : texts("N=2..8,block=row")) different.insert(text);
  EXPECT_EQ(different.size(), 28u);
}

TEST(Candidates, WithExponentBitsAreSingleFormats) {
  EXPECT_EQ(texts("N=4,E=2,block=16"), (Texts{"E2M1/16/ue4m3"}));
  EXPECT_EQ(texts("N=3..4,E=2..5,block=32,scale=e8m0"),
            (Texts{"E2M0/32/e8m0", "E2M1/32/e8m0", "E3M0/32/e8m0"}));
}

TEST(Candidates, AreAProductInAFixedOrder) {
  EXPECT_EQ(texts("N=4,block=32|tensor"),
            (Texts{"E1M2+E2M1/32/ue4m3", "E1M2/tensor/e8m0", "E2M1/tensor/e8m0", "E3M0/tensor/e8m0"}));
  EXPECT_EQ(texts("N=4,E=2,block=16|32,scale=e8m0|ue4m3"),
            (Texts{"E2M1/16/e8m0", "E2M1/16/ue4m3", "E2M1/32/e8m0", "E2M1/32/ue4m3"}));
}

TEST(Candidates, PartsLeftOutAreTheDefaults) {
  CandidateSpace defaults;
  defaults.bits = {5};
  defaults.blocks = {{BlockKind::row, 0}};
  EXPECT_EQ(to_string(parse_candidates("E=2", defaults)), "N=5,E=2,block=row");
  EXPECT_EQ(to_string(parse_candidates("keep", defaults)), "N=5,block=row,keep");
}

TEST(Candidates, TextReadsBack) {
  for (const char* text : {"N=2..8,block=16", "N=3|5..7,E=1|2,block=tensor|row|128,scale=e8m0,keep",
                           "N=4|5,block=64,scale=e8m0|ue4m3"})
    EXPECT_EQ(to_string(parse_candidates(text)), text);
  EXPECT_EQ(to_string(parse_candidates("N=8|3|3..4,block=16|16")), "N=3|4|8,block=16");
}

TEST(Candidates, EveryFaultIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "'' is no part; expected parts as N=3..8,E=1..5,block=16|32,scale=e8m0,keep"},
      {"N", "'N' is no part"},
      {"N=", "'N=' is no part"},
      {"N=9", "'N=9' holds '9'; expected a number from 2 to 8"},
      {"N=1..3", "'N=1..3' holds '1'; expected a number from 2 to 8"},
      {"N=3..", "'N=3..' holds ''; expected a number from 2 to 8"},
      {"N=6..3", "'N=6..3' counts down; expected the smaller number first"},
      {"N=x", "'N=x' holds 'x'; expected a number from 2 to 8"},
      {"E=8", "'E=8' holds '8'; expected a number from 1 to 7"},
      {"N=4,N=5", "'N=5' is there twice"},
      {"keep,keep", "'keep' is there twice"},
      {"keep=1", "'keep' is unknown"},
      {"M=3", "'M' is unknown"},
      {"block=17", "17"},
      {"scale=fp8", "fp8"},
      {"N=3,E=5,block=tensor", "the candidates 'N=3,E=5,block=tensor' are none at all"},
  };
  for (const auto& [text, message] : cases) {
    SCOPED_TRACE(text);
    expect_error<UsageError>([&, text = text] { parse_candidates(text); }, message, Message::part);
  }
}

}  // namespace
}  // namespace afp
