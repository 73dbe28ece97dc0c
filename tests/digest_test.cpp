// The digests against known values of XXH3, and that the cut into updates does not matter.
#include "host/checkpoint/digest.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include "safetensors_bytes.hpp"

namespace afp {
namespace {

std::string hex_of(std::string_view text) {
  Digest128 digest;
  digest.update(bytes_of(text));
  return digest.hex();
}

// XXH3's values of no bytes at all, as xxhsum prints them.
TEST(Digest, KnownValues) {
  EXPECT_EQ(Digest128().hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hex_of(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(digest64({}), 0x2d06800538d394c2u);
}

TEST(Digest, OneShotAndAnyCutAgree) {
  std::string text(100'000, '\0');
  std::uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  const XXH128_hash_t expected = XXH3_128bits(text.data(), text.size());
  char hex[33] = {};
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(expected.high64),
                static_cast<unsigned long long>(expected.low64));
  EXPECT_EQ(hex_of(text), hex);
  for (const std::size_t cut : {1u, 7u, 64u, 255u, 4096u, 99'999u}) {
    Digest128 digest;
    for (std::size_t i = 0; i < text.size(); i += cut)
      digest.update(bytes_of(std::string_view(text).substr(i, cut)));
    EXPECT_EQ(digest.hex(), hex) << cut;
    EXPECT_EQ(digest.hex(), hex) << "asked twice";
  }
}

TEST(Digest, OneBitChangesIt) {
  EXPECT_NE(hex_of("abc"), hex_of("abb"));
  EXPECT_NE(digest64(bytes_of("abc")), digest64(bytes_of("abb")));
}

}  // namespace
}  // namespace afp
