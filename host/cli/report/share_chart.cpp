// Bodies of shares.hpp, and the drawing: one bar each for weights, bytes and error, so that the shares
// of an Encoding can be compared.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "host/cli/report/charts.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/report/shares.hpp"

namespace afp::cli {

std::vector<EncodingShare> encoding_shares(const ReportData& data) {
  std::vector<EncodingShare> shares;
  for (const ReportTensor& tensor : data.tensors) {
    auto found = std::find_if(shares.begin(), shares.end(),
                              [&](const EncodingShare& share) { return share.encoding == tensor.encoding; });
    if (found == shares.end()) {
      shares.push_back({});
      found = shares.end() - 1;
      found->encoding = tensor.encoding;
      found->name = tensor.encoding ? to_string(*tensor.encoding) : "kept";
    }
    ++found->tensors;
    found->weights += element_count(tensor.shape);
    found->bytes += tensor.bytes;
    if (tensor.encoding) found->squared_error += tensor.squared_error.value_or(0.0);
  }
  const auto key = [](const EncodingShare& share) {
    return std::pair(share.encoding ? share.encoding->bits() : kMaxBits + 1, share.name);
  };
  std::sort(shares.begin(), shares.end(),
            [&](const EncodingShare& a, const EncodingShare& b) { return key(a) < key(b); });
  // Encodings of equal bits share a colour, in three strengths by turns
  constexpr std::array<std::string_view, 3> kStrengths = {"", " pale", " paler"};
  std::size_t of_these_bits = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    of_these_bits = i > 0 && key(shares[i]).first == key(shares[i - 1]).first ? of_these_bits + 1 : 0;
    shares[i].css = bits_class(shares[i].encoding) + std::string(kStrengths[of_these_bits % 3]);
  }
  return shares;
}

double total_error(const ReportData& data) {
  return std::accumulate(data.tensors.begin(), data.tensors.end(), 0.0,
                         [](double sum, const ReportTensor& tensor) {
                           return sum + (tensor.encoding ? tensor.squared_error.value_or(0.0) : 0.0);
                         });
}

std::string share_chart(const ReportData& data) {
  const std::vector<EncodingShare> shares = encoding_shares(data);
  struct Bar {
    std::string name;
    double (*value)(const EncodingShare&);
  };
  const Bar bars[] = {
      {"weights", [](const EncodingShare& share) { return static_cast<double>(share.weights); }},
      {"bytes", [](const EncodingShare& share) { return static_cast<double>(share.bytes); }},
      {"error", [](const EncodingShare& share) { return share.squared_error; }}};
  constexpr double kBar = 20.0, kPitch = 52.0;
  std::string out;
  for (const Paper& paper : kPapers) {
    Svg svg(fmt::format("shares-{}", paper.kind), paper.kind, paper.width, 3 * kPitch - 8,
            "Shares of weights, bytes and error by Encoding",
            "Three stacked bars, one segment an Encoding; the table below holds the numbers.");
    const double left = paper.narrow ? 0.0 : 68.0, right = paper.width - (paper.narrow ? 0.0 : 8.0);
    for (std::size_t row = 0; row < 3; ++row) {
      const double top = kPitch * static_cast<double>(row) + 18;
      svg.text(0, paper.narrow ? top - 6 : top + 14, "title", Anchor::start, bars[row].name);
      double total = 0.0;
      for (const EncodingShare& share : shares) total += bars[row].value(share);
      double from = 0.0;
      for (const EncodingShare& share : shares) {
        const double value = bars[row].value(share);
        if (total <= 0.0 || value <= 0.0) continue;
        const double begin = left + (right - left) * from / total;
        from += value;
        const double end = left + (right - left) * from / total;
        const std::string words = percent(value / total);
        const bool has_gap = end - begin > 3.0;  // between segments
        svg.rect({begin, top, has_gap ? end - 1.5 : end, top + kBar}, "seg " + share.css,
                 fmt::format("{}: {} of the {}", share.name, words, bars[row].name));
        if (end - begin > text_width(words, kLegendSize) + 4 && (!paper.narrow || begin > 60.0))
          svg.text(begin, top - 5, "lab", Anchor::start, words);
      }
      if (total <= 0.0) svg.text(left, top + 14, "lab faint", Anchor::start, "none");
    }
    out += svg.text();
  }
  return out;
}

}  // namespace afp::cli
