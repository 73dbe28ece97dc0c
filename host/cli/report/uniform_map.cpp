// One Format for the whole model: a map of what each costs, bits down and exponent bits across.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "host/cli/report/html_table.hpp"
#include "host/cli/report/markup.hpp"
#include "host/cli/report/tables.hpp"

namespace afp::cli {
namespace {

constexpr int kShades = 8;  // of the style sheet, h0 to h7

bool has_logarithm(double value) {
  return value > 0.0 && std::isfinite(value);
}

// From scores to shades, the least score the strongest.
class Shading {
 public:
  explicit Shading(const std::vector<ReportUniformChoice>& choices) {
    for (const ReportUniformChoice& choice : choices) {
      if (!has_logarithm(choice.score)) continue;
      low_ = std::min(low_, std::log(choice.score));
      high_ = std::max(high_, std::log(choice.score));
    }
  }
  int operator()(double score) const {
    if (score <= 0.0) return kShades - 1;
    if (!has_logarithm(score) || !(high_ > low_)) return 0;
    return std::clamp(static_cast<int>(kShades * (high_ - std::log(score)) / (high_ - low_)), 0, kShades - 1);
  }

 private:
  double low_ = HUGE_VAL, high_ = -HUGE_VAL;
};

// The power of a thousand that costs are about as large as: without it they are short enough for a phone.
int common_power(const std::vector<ReportUniformChoice>& choices) {
  double sum = 0.0;
  int count = 0;
  for (const ReportUniformChoice& choice : choices) {
    if (!has_logarithm(choice.cost)) continue;
    sum += std::log10(choice.cost);
    ++count;
  }
  return count == 0 ? 0 : 3 * static_cast<int>(std::floor(sum / count / 3.0));
}

std::string cell(const ReportUniformChoice& choice, int shade, bool is_chosen, double unit) {
  const std::string penalty = choice.penalty ? coordinate(*choice.penalty, 2) : "";
  std::string out = fmt::format(
      "<span class=\"cell h{}{}\" title=\"E{}M{}: cost {}{}\">{}", shade, is_chosen ? " best" : "",
      choice.exponent_bits, choice.bits - 1 - choice.exponent_bits, significant(choice.cost, 5),
      choice.penalty ? ", penalty " + penalty : "", significant(choice.cost / unit, 3));
  if (choice.penalty) out += fmt::format("<span class=\"sub\">{}</span>", penalty);
  if (is_chosen) out += "<b class=\"flag\">chosen</b>";
  return out + "</span>";
}

}  // namespace

std::string uniform_map(const ReportData& data) {
  const Shading shade_of(data.uniform);
  const int power = common_power(data.uniform);
  int most_exponent = 0;
  bool has_penalty = false;
  std::map<int, std::map<int, std::size_t>> by_bits;
  for (std::size_t i = 0; i < data.uniform.size(); ++i) {
    const ReportUniformChoice& choice = data.uniform[i];
    by_bits[choice.bits][choice.exponent_bits] = i;
    most_exponent = std::max(most_exponent, choice.exponent_bits);
    has_penalty = has_penalty || choice.penalty;
  }
  std::vector<HtmlTable::Column> columns = {{"N"}};
  for (int exponent = 0; exponent <= most_exponent; ++exponent)
    columns.push_back({fmt::format("E{}", exponent), "n"});
  HtmlTable table(fmt::format("Cost{}{} of every Format: bits down, exponent bits across",
                              power == 0 ? "" : fmt::format(" in units of 1e{}", power),
                              has_penalty ? ", and below it the penalty," : ""),
                  columns, "map");
  for (const auto& [bits, row] : by_bits) {
    std::vector<HtmlTable::Cell> cells = {{std::to_string(bits)}};
    for (int exponent = 0; exponent <= most_exponent; ++exponent) {
      const auto found = row.find(exponent);
      if (found == row.end()) {
        cells.push_back({""});
        continue;
      }
      const ReportUniformChoice& choice = data.uniform[found->second];
      cells.push_back({cell(choice, shade_of(choice.score), data.uniform_chosen == found->second,
                            std::pow(10.0, power))});
    }
    table.add(cells);
  }
  return table.text();
}

}  // namespace afp::cli
