// The page of report.hpp, section by section.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "host/cli/report/charts.hpp"
#include "host/cli/report/front.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/report/page.hpp"
#include "host/cli/report/report.hpp"
#include "host/cli/report/shares.hpp"
#include "host/cli/report/tables.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

std::string paragraph(std::string_view html, std::string_view css = {}) {
  return css.empty() ? fmt::format("<p>{}</p>\n", html) : fmt::format("<p class=\"{}\">{}</p>\n", css, html);
}

std::string details(std::string_view summary, std::string_view html) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", summary, html);
}

std::string figure(std::string_view key, std::string_view drawings) {
  return fmt::format("<figure>\n{}{}</figure>\n", key, drawings);
}

std::string section(std::string_view id, std::string_view heading, std::string_view html) {
  return fmt::format("<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{1}</h2>\n{2}</section>\n", id,
                     heading, html);
}

// The meaning of colours and marks, as a list above a drawing.
class Key {
 public:
  void add(std::string_view css, std::string_view text) {
    items_ += fmt::format("<li><i class=\"sw {}\"></i>{}</li>", css, escaped(text));
  }
  void add_words(std::string_view text) { items_ += fmt::format("<li>{}</li>", escaped(text)); }
  std::string text() const {
    return items_.empty() ? "" : fmt::format("<ul class=\"key\">{}</ul>\n", items_);
  }

 private:
  std::string items_;
};

std::size_t quantized_count(const ReportData& data) {
  return static_cast<std::size_t>(
      std::count_if(data.tensors.begin(), data.tensors.end(),
                    [](const ReportTensor& t) { return t.encoding.has_value(); }));
}

std::string objective_words(const ReportData& data) {
  switch (data.objective) {
    case Objective::mse:
      return data.weighted ? "mse, weighted by importance" : "mse, the squared error";
    case Objective::kl:
      return "kl, the divergence of the distributions of |w|";
    case Objective::kl_seed:
      return "kl-seed, the divergence as the original code computes it";
  }
  return "";
}

std::string gap_words(const ReportData& data) {
  if (!data.gap || !std::isfinite(*data.gap)) return "none";
  return *data.gap <= 0.0 ? "0\u00A0%" : percent(*data.gap);
}

std::string head(const ReportData& data) {
  // nothing may be fetched: even text that slipped through as markup could not call out
  return fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta "
      "charset=\"utf-8\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; "
      "style-src &#39;unsafe-inline&#39;; script-src &#39;unsafe-inline&#39;\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>{}: report of the search</title>\n<style>{}</style>\n</head>\n<body>\n",
      escaped(data.model), kReportStyle);
}

std::string tile(std::string_view name, std::string_view value, std::string_view below) {
  return fmt::format("<div><dt>{}</dt><dd>{}</dd><dd class=\"sub\">{}</dd></div>\n", name, value, below);
}

std::string tiles(const ReportData& data) {
  const double times = data.file_bytes == 0
                           ? 1.0
                           : static_cast<double>(data.source_bytes) / static_cast<double>(data.file_bytes);
  std::string out = "<dl class=\"tiles\">\n";
  out += tile("Size of the weight files", size_words(data.file_bytes),
              fmt::format("from {}, {} times smaller", size_words(data.source_bytes), fixed(times, 2)));
  out += tile("Bits per weight", data.weights == 0 ? "–" : fixed(data.bpw(), 3),
              fmt::format("over {} weights, scales included", with_thousands(data.weights)));
  out += tile("SQNR", data.weights == 0 ? "–" : sqnr_words(data.signal, data.squared_error),
              data.sample > 1 ? "estimated from a sample" : "of the selected tensors together");
  std::string gap = "nothing is certified";
  if (data.gap && std::isfinite(*data.gap))
    gap = *data.gap <= 0.0 ? "proven: no choice costs less" : "at most so far from the best choice";
  out += tile("Certified gap", gap_words(data), gap);
  return out + "</dl>\n";
}

std::string facts(const ReportData& data) {
  std::string out;
  const auto fact = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, escaped(value));
  };
  fact("Objective", objective_words(data));
  fact("Method", data.method);
  fact("Budget", data.budget.empty() ? "none" : data.budget);
  fact("Candidates", data.candidates);
  fact("Cost", significant(data.cost, 6));
  if (data.gap && std::isfinite(*data.gap)) fact("Bound", significant(data.bound, 6));
  if (data.evaluations > 0) fact("Evaluations", with_thousands(data.evaluations));
  if (data.seconds) fact("Time", fmt::format("{:.2f} s", *data.seconds));
  return "<dl class=\"facts\">\n" + out + "</dl>\n";
}

std::string headline(const ReportData& data) {
  const std::size_t quantized = quantized_count(data);
  std::string out = "<header>\n<p class=\"over\">Adaptive Floating-Point: report of the search</p>\n";
  out += fmt::format("<h1>{}</h1>\n", escaped(data.model));
  out += paragraph(
      fmt::format("{} of {} quantized, {} kept.", with_thousands(quantized),
                  plural(data.tensors.size(), "tensor"), with_thousands(data.tensors.size() - quantized)),
      "lead");
  out += tiles(data) + facts(data);
  if (data.sample > 1)
    out += paragraph(
        fmt::format("Sampled: of tensors with row and small blocks one block in {} was measured and the "
                    "result scaled up. Errors and costs here are estimates.",
                    data.sample),
        "flagged");
  if (data.weighted)
    out += paragraph(
        "Weighted: costs count the error of each input channel by its importance. SQNR is without these "
        "weights: it need not be best where the cost is.",
        "flagged");
  return out + "</header>\n";
}

// What the front says about the choice, in a sentence.
std::string front_words(const ReportData& data) {
  std::string out = fmt::format(
      "The line is what mixed Encodings buy at every size; squares are one Encoding for all "
      "tensors. The choice has {} bits a weight and {} of {}",
      fixed(data.bpw(), 2), quality_words(data, chosen_quality(data)), quality_name(data));
  const UniformPoint* single = nearest_single(data);
  if (single == nullptr) return paragraph(out + ".");
  const double quality = quality_of(data, single->cost, single->squared_error);
  return paragraph(fmt::format("{}; the nearest single Encoding, <code>{}</code>, has {} bits and {}.", out,
                               to_string(single->encoding), fixed(single->bpw, 2),
                               quality_words(data, quality)));
}

std::string front_section(const ReportData& data) {
  if (data.weights == 0 || (data.front.mixed.empty() && data.front.uniform.empty())) return "";
  Key key;
  if (!data.front.mixed.empty()) key.add("rule", "mixed Encodings");
  key.add("ring", "chosen");
  std::array<bool, kMaxBits + 1> used{};
  std::vector<std::string> names;
  for (const UniformPoint& point : data.front.uniform) {
    used[static_cast<std::size_t>(point.encoding.bits())] = true;
    names.push_back(to_string(point.encoding));
  }
  const std::string ending = common_ending(names);
  if (!names.empty())
    key.add_words(ending.empty() || names.size() < 2
                      ? "one Encoding for all:"
                      : fmt::format("one Encoding for all, {}:", ending.substr(1)));
  for (std::size_t bits = 0; bits < used.size(); ++bits)
    if (used[bits]) key.add(fmt::format("b{}", bits), fmt::format("{} bits", bits));

  std::string out = front_words(data) + figure(key.text(), front_chart(data));
  if (!data.front.uniform.empty() && !data.front.mixed.empty()) {
    out += "<h3>The smallest files for the same quality</h3>\n";
    out += paragraph(data.shows_sqnr()
                         ? "For each single Encoding: the smallest mix that has at least its SQNR, and the "
                           "smallest that has at "
                           "least 0.99 times its SQNR in dB, each with the option that asks for it."
                         : "For each single Encoding: the smallest mix that has at most its divergence, and "
                           "the smallest that has "
                           "at most 1.01 times it, each with the option that asks for it.");
    out += answer_table(data);
  }
  if (!data.front.mixed.empty()) out += details("The front in numbers", front_table(data));
  return section("front", fmt::format("Size against {}", data.shows_sqnr() ? "error" : "divergence"), out);
}

std::string tensor_section(const ReportData& data) {
  if (data.tensors.empty()) return "";
  Key key;
  std::array<bool, kMaxBits + 1> used{};
  for (const ReportTensor& tensor : data.tensors)
    used[tensor.encoding ? static_cast<std::size_t>(tensor.encoding->bits()) : 0] = true;
  for (std::size_t bits = 1; bits < used.size(); ++bits)
    if (used[bits]) key.add(fmt::format("dot b{}", bits), fmt::format("{} bits", bits));
  if (used[0]) key.add("dot kept", "kept");
  if (const double all = sqnr_db_of(data.signal, data.squared_error); std::isfinite(all))
    key.add("dash", fmt::format("all together: {} dB", fixed(all, 2)));
  std::string out = figure(key.text(), tensor_chart(data));
  const std::size_t quantized = quantized_count(data);
  if (quantized > 0 && quantized <= kMostWorstRows)
    out += tensor_table(data, quantized);
  else if (quantized > 0)
    out += tensor_table(data, kMostWorstRows) +
           details(quantized <= kMostTensorRows
                       ? fmt::format("All {} quantized tensors", with_thousands(quantized))
                       : fmt::format("The {} quantized tensors with the most error", kMostTensorRows),
                   tensor_table(data, kMostTensorRows));
  if (const std::string kept = kept_table(data); !kept.empty()) out += details("What is kept, and why", kept);
  return section("tensors", "Each tensor", out);
}

std::string share_section(const ReportData& data) {
  if (data.tensors.empty()) return "";
  Key key;
  for (const EncodingShare& share : encoding_shares(data)) key.add(share.css, share.name);
  return section("shares", "Where the bits went", figure(key.text(), share_chart(data)) + share_table(data));
}

std::string histogram_section(const ReportData& data) {
  if (!data.histogram || data.histogram->counts.empty() || data.histogram->edges.size() < 2) return "";
  const ReportHistogram& histogram = *data.histogram;
  Key key;
  key.add("bars", "weights");
  const std::array<std::string_view, 2> classes = {"c1", "c2"};
  for (std::size_t i = 0; i < histogram.codes.size(); ++i)
    key.add(classes[std::min<std::size_t>(i, 1)],
            fmt::format("code points of {}", to_string(histogram.codes[i].format)));
  std::string out =
      paragraph(fmt::format("<code>{}</code> as <code>{}</code>. Above the line where its weights lie, "
                            "below it how many of them became each code point.",
                            escaped(histogram.tensor), to_string(histogram.encoding)));
  out += figure(key.text(), histogram_chart(data));
  if (!histogram.codes.empty()) out += details("The code points in numbers", code_point_table(histogram));
  return section("histogram", "One tensor up close", out);
}

std::string trace_section(const ReportData& data) {
  if (data.trace.size() < 2) return "";
  return section("trace", "How the search went",
                 figure("", trace_chart(data)) + details("The trace in numbers", trace_table(data)));
}

std::string uniform_section(const ReportData& data) {
  if (data.uniform.empty()) return "";
  std::string out = "The question is one Format for the whole model. ";
  out += data.penalty_exponent > 0.0 ? fmt::format(
                                           "Compared is the cost times the hardware penalty to the power of "
                                           "{}; the stronger the colour, the better.",
                                           coordinate(data.penalty_exponent, 4))
                                     : "Compared is the cost; the stronger the colour, the better.";
  return section("uniform", "One Format for all", paragraph(out) + uniform_map(data));
}

// Words in a box each: lines break between them, not at their hyphens.
std::string command_words(std::string_view command) {
  std::string out = "<span>";
  for (const char c : escaped(command)) out += c == ' ' ? std::string("</span> <span>") : std::string(1, c);
  return out + "</span>";
}

std::string foot(const ReportData& data) {
  std::string out = "<footer>\n";
  if (!data.command.empty()) out += fmt::format("<pre>{}</pre>\n", command_words(data.command));
  out += paragraph(
      "<b>bpw</b>: bits per weight over the selected tensors, scales included; sizes are of all weight "
      "files.");
  out += paragraph(
      "<b>SQNR</b>: 10 log10(sum of squared weights / sum of squared errors), in dB: 6 dB more halve "
      "the error.");
  out += paragraph(
      "<b>bound</b>: no choice within the budget costs less; <b>gap</b>: (cost − bound) / bound, how far "
      "from the best the choice can be at most.");
  if (!data.program.empty()) out += paragraph(escaped(data.program));
  return out + "</footer>\n";
}

}  // namespace

std::string report_html(const ReportData& data) {
  std::string page = head(data) + "<main>\n" + headline(data);
  page += uniform_section(data) + front_section(data) + tensor_section(data) + share_section(data);
  page += histogram_section(data) + trace_section(data) + "</main>\n" + foot(data);
  return page + fmt::format("<script>{}</script>\n</body>\n</html>\n", kReportScript);
}

}  // namespace afp::cli
