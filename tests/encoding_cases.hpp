// Encodings that tests go through.
#pragma once

#include <string>
#include <vector>

#include "reference.hpp"

namespace afp {

// Every Format with both kinds of scale, the default pairs and some others; "*" stands for the block.
inline std::vector<std::string> formats_and_scales() {
  std::vector<std::string> texts;
  for (const Format format : reference::all_formats()) {
    texts.push_back(to_string(format) + "/*/e8m0");
    texts.push_back(to_string(format) + "/*/ue4m3");
  }
  for (const char* const pair : {"E1M1+E2M0", "E1M2+E2M1", "E1M3+E2M2", "E1M4+E2M3", "E1M5+E2M4", "E1M6+E2M5",
                                 "E3M0+E1M2", "E2M3+E4M1", "E1M6+E7M0"})
    texts.push_back(std::string(pair) + "/*/ue4m3");
  return texts;
}

inline Encoding with_block(std::string text, const std::string& block) {
  return parse_encoding(text.replace(text.find('*'), 1, block));
}

}  // namespace afp
