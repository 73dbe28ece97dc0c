// The candidates whose costs are measured; of blocks as texts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "afp/encoding.hpp"

namespace afp::bench {

// All Formats of `first` .. `last` bits under e8m0.
inline std::vector<std::string> all_formats(int first, int last, const std::string& block) {
  std::vector<std::string> texts;
  for (int bits = first; bits <= last; ++bits)
    for (const Format format : formats_of(bits)) texts.push_back(to_string(format) + "/" + block + "/e8m0");
  return texts;
}

// All Formats under e8m0 as tensor blocks.
inline std::vector<Encoding> whole_space() {
  std::vector<Encoding> space;
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (const Format format : formats_of(bits))
      space.push_back({format, std::nullopt, {BlockKind::tensor, 0}, ScaleKind::e8m0});
  return space;
}

// The pair E1 + E2 of each N under ue4m3 (N = 2 has E1 alone).
inline std::vector<std::string> pairs(int first, int last, const std::string& block) {
  std::vector<std::string> texts;
  for (int bits = first; bits <= last; ++bits) {
    const std::vector<Format> formats = formats_of(bits);
    std::string text = to_string(formats[0]);
    if (formats.size() > 1) text += "+" + to_string(formats[1]);
    texts.push_back(text + "/" + block + "/ue4m3");
  }
  return texts;
}

}  // namespace afp::bench
