// The candidates whose block costs are measured, as texts.
#pragma once

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
