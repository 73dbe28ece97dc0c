// Bodies of tables.hpp.
#include "host/cli/report/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "host/cli/report/front.hpp"
#include "host/cli/report/html_table.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/report/shares.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

using Cell = HtmlTable::Cell;

constexpr std::size_t kMostFrontRows = 40;
constexpr std::size_t kMostAnswerRows = 24;  // single Encodings in plain sight; the others unfold

std::string code(std::string_view text) {
  return fmt::format("<code>{}</code>", escaped(text));
}

std::string swatch(std::string_view css) {
  return fmt::format("<i class=\"sw {}\"></i>", css);
}

// A name that may break after its dots and underscores.
std::string breakable(std::string_view name) {
  std::string out;
  for (const char c : escaped(name)) {
    out += c;
    if (c == '.' || c == '_') out += "<wbr/>";
  }
  return out;
}

// Full precision for sorting: the text on the page is rounded.
std::string sort_value(double value) {
  return std::isnan(value)   ? ""
         : std::isinf(value) ? (value > 0 ? "1e999" : "-1e999")
                             : fmt::format("{:.9g}", value);
}

double ratio(double part, double whole) {
  return whole > 0.0 ? part / whole : 0.0;
}

// The row that stands `i`-th of `shown` in an even thinning of `count` rows, both ends kept.
std::size_t thinned(std::size_t i, std::size_t shown, std::size_t count) {
  return shown < 2 ? 0 : (i * (count - 1) + (shown - 1) / 2) / (shown - 1);
}

Cell mixed_cell(const ReportData& data, const ModelFrontPoint* mixed, const UniformPoint& single) {
  if (mixed == nullptr) return {"<span class=\"sub\">no mix reaches it</span>"};
  const auto file = static_cast<double>(file_bytes_with(data, mixed->bytes));
  const auto other = static_cast<double>(file_bytes_with(data, single.bytes));
  const double change = ratio(file - other, other);
  return {fmt::format("<b>{}</b> bpw <span class=\"sub\">{}, {}{}</span><code class=\"opt-text\">{}</code>",
                      fixed(mixed->bpw, 3), size_words(file_bytes_with(data, mixed->bytes)),
                      change > 0.0 ? "+" : "", percent(change), target_option(mixed->bpw))};
}

void add_answer(HtmlTable& table, const ReportData& data, const UniformPoint& single) {
  const double quality = quality_of(data, single.cost, single.squared_error);
  const std::string size = size_words(file_bytes_with(data, single.bytes));
  const std::string words = quality_words(data, quality);
  table.add(
      {{fmt::format(
           "{}<code>{}</code><span class=\"sub\">{} bits, {} bpw<span class=\"phone\">, {}, {}</span></span>",
           swatch(fmt::format("b{}", single.encoding.bits())), to_string(single.encoding),
           single.encoding.bits(), fixed(single.bpw, 3), size, words)},
       {size},
       {words},
       mixed_cell(data, smallest_reaching(data, quality), single),
       mixed_cell(data, smallest_reaching(data, within_one_percent(data, quality)), single)});
}

HtmlTable new_answer_table(const ReportData& data, std::string caption) {
  const std::string name = quality_name(data);
  return {std::move(caption),
          {{"One Encoding everywhere"},
           {"Size", "n opt"},
           {data.shows_sqnr() ? "SQNR" : "Divergence", "n opt"},
           {fmt::format("Mixed, same {}", name), "n"},
           {fmt::format("Mixed, within 1 % of the {}", name), "n"}},
          "answers"};
}

}  // namespace

std::string answer_table(const ReportData& data) {
  const auto& points = data.front.uniform;
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return points[a].bytes < points[b].bytes; });
  const bool split = points.size() > kMostAnswerRows;
  const std::vector<bool> is_best = undominated(data);
  HtmlTable first = new_answer_table(data, split ? "The best single Encodings, and the mixes that match them"
                                                 : "Single Encodings, and the mixes that match them");
  HtmlTable others = new_answer_table(data, "Single Encodings that another one beats in both size and error");
  for (const std::size_t i : order) add_answer(split && !is_best[i] ? others : first, data, points[i]);
  std::string out = first.text();
  if (!others.empty())
    out += fmt::format(
        "<details><summary>{} more single Encodings, beaten by the above</summary>\n{}</details>\n",
        points.size() - static_cast<std::size_t>(std::count(is_best.begin(), is_best.end(), true)),
        others.text());
  return out;
}

std::string front_table(const ReportData& data) {
  const auto& points = data.front.mixed;
  const std::size_t shown = std::min(points.size(), kMostFrontRows);
  HtmlTable table(shown < points.size() ? fmt::format("{} of {} points of the front", shown, points.size())
                                        : fmt::format("The front, {}", plural(points.size(), "point")),
                  {{"bpw", "n"},
                   {"Size", "n"},
                   {data.shows_sqnr() ? "SQNR" : "Divergence", "n"},
                   {"Cost", "n opt"},
                   {"Option", "n"}});
  for (std::size_t i = 0; i < shown; ++i) {
    const ModelFrontPoint& point = points[thinned(i, shown, points.size())];
    table.add({{fixed(point.bpw, 3)},
               {size_words(file_bytes_with(data, point.bytes))},
               {quality_words(data, quality_of(data, point.cost, point.squared_error))},
               {significant(point.cost, 4)},
               {code(target_option(point.bpw))}});
  }
  return table.text();
}

std::string tensor_table(const ReportData& data, std::size_t most) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < data.tensors.size(); ++i)
    if (data.tensors[i].encoding) order.push_back(i);
  const std::size_t count = order.size(), shown = std::min(count, most);
  const double total = total_error(data);
  const auto error = [&](std::size_t i) { return data.tensors[i].squared_error.value_or(0.0); };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return error(a) > error(b); });

  HtmlTable table(shown < count ? fmt::format("The {} tensors with the most error, of {} quantized", shown,
                                              with_thousands(count))
                                : "Quantized tensors, the most error first",
                  {{"Tensor", "name", true},
                   {"Shape", "opt", true},
                   {"Encoding", "", true},
                   {"bpw", "n opt", true},
                   {"SQNR", "n", true},
                   {"Share of error", "n", true}},
                  most > kMostWorstRows ? "tensors sorts" : "tensors");
  double rest = 0.0;
  for (std::size_t at = 0; at < count; ++at) {
    const std::size_t i = order[at];
    if (at >= shown) {
      rest += error(i);
      continue;
    }
    const ReportTensor& tensor = data.tensors[i];
    const std::uint64_t weights = element_count(tensor.shape);
    const double bpw = ratio(8.0 * static_cast<double>(tensor.bytes), static_cast<double>(weights));
    const std::string encoding = to_string(*tensor.encoding);
    const std::size_t slash = std::min(encoding.find('/'), encoding.size());
    table.add({{breakable(tensor.name), std::to_string(i)},  // sorts in model order
               {escaped(to_string(tensor.shape)), std::to_string(weights)},
               {fmt::format("{}<code>{}<wbr/>{}</code>", swatch(fmt::format("b{}", tensor.encoding->bits())),
                            encoding.substr(0, slash), encoding.substr(slash))},
               {fixed(bpw, 2), sort_value(bpw)},
               tensor.squared_error ? Cell{sqnr_words(tensor.signal, *tensor.squared_error),
                                           sort_value(sqnr_db_of(tensor.signal, *tensor.squared_error))}
                                    : Cell{"–", "-1e999"},
               {percent(ratio(error(i), total)), sort_value(error(i))}});
  }
  std::string out = table.text();
  if (shown < count)
    out +=
        fmt::format("<p class=\"note\">The other {} quantized tensors have {} of the error together.</p>\n",
                    with_thousands(count - shown), percent(ratio(rest, total)));
  return out;
}

std::string kept_table(const ReportData& data) {
  struct Sum {
    std::uint64_t tensors = 0, weights = 0, bytes = 0;
  };
  std::map<std::string, Sum> reasons;
  for (const ReportTensor& tensor : data.tensors) {
    if (tensor.encoding) continue;
    Sum& sum = reasons[tensor.kept];
    ++sum.tensors;
    sum.weights += element_count(tensor.shape);
    sum.bytes += tensor.bytes;
  }
  if (reasons.empty()) return "";
  HtmlTable table("Tensors that are kept as they are, by reason",
                  {{"Why"}, {"Tensors", "n"}, {"Weights", "n"}, {"Bytes", "n"}});
  for (const auto& [reason, sum] : reasons)
    table.add({{reason.empty() ? "–" : escaped(reason)},
               {with_thousands(sum.tensors)},
               {with_thousands(sum.weights)},
               {size_words(sum.bytes)}});
  return table.text();
}

std::string share_table(const ReportData& data) {
  const std::vector<EncodingShare> shares = encoding_shares(data);
  double weights = 0.0, bytes = 0.0;
  for (const EncodingShare& share : shares) {
    weights += static_cast<double>(share.weights);
    bytes += static_cast<double>(share.bytes);
  }
  const double error = total_error(data);
  HtmlTable table("Weights, bytes and error by Encoding", {{"Encoding"},
                                                           {"Tensors", "n opt"},
                                                           {"Weights", "n opt"},
                                                           {"Share of weights", "n"},
                                                           {"Bytes", "n opt"},
                                                           {"Share of bytes", "n"},
                                                           {"Share of error", "n"}});
  for (const EncodingShare& share : shares)
    table.add({{swatch(share.css) + (share.encoding ? code(share.name) : "kept")},
               {with_thousands(share.tensors)},
               {with_thousands(share.weights)},
               {percent(ratio(static_cast<double>(share.weights), weights))},
               {size_words(share.bytes)},
               {percent(ratio(static_cast<double>(share.bytes), bytes))},
               {share.encoding ? percent(ratio(share.squared_error, error)) : "–"}});
  return table.text();
}

std::string code_point_table(const ReportHistogram& histogram) {
  HtmlTable table("Code points and how many weights took them",
                  {{"Format"}, {"Value", "n"}, {"Weights", "n"}, {"Share", "n"}});
  double total = 0.0;
  for (const ReportHistogram::Codes& codes : histogram.codes)
    for (const ReportHistogram::CodePoint& point : codes.points) total += static_cast<double>(point.count);
  for (const ReportHistogram::Codes& codes : histogram.codes)
    for (const ReportHistogram::CodePoint& point : codes.points)
      table.add({{code(to_string(codes.format))},
                 {significant(point.value, 4)},
                 {with_thousands(point.count)},
                 {percent(ratio(static_cast<double>(point.count), total))}});
  return table.text();
}

std::string trace_table(const ReportData& data) {
  const std::size_t shown = std::min(data.trace.size(), kMostFrontRows);
  HtmlTable table("Least cost so far", {{"Evaluations", "n"}, {"Cost", "n"}});
  for (std::size_t i = 0; i < shown; ++i) {
    const SearchResult::TracePoint& point = data.trace[thinned(i, shown, data.trace.size())];
    table.add({{with_thousands(point.evaluations)}, {significant(point.cost, 6)}});
  }
  return table.text();
}

}  // namespace afp::cli
