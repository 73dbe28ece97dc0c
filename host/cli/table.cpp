// Bodies of table.hpp.
#include "host/cli/table.hpp"

#include <algorithm>
#include <numeric>

#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowestName = 16;

}  // namespace

void Table::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t indent, std::optional<std::size_t> width) const {
  std::vector<std::string> headings;
  for (const Column& column : columns_) headings.push_back(column.heading);

  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t widest = display_width(headings[c]);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c]));
    widths.push_back(widest);
  }
  const std::size_t others =
      indent + std::accumulate(widths.begin() + 1, widths.end(), kGap * (widths.size() - 1));
  if (width && others + widths[0] > *width)
    widths[0] = std::min(widths[0], std::max(kNarrowestName, *width - std::min(*width, others)));

  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line(indent, ' ');
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string cell = c == 0 ? shorten(cells[c], widths[c]) : cells[c];
      const std::string padding(widths[c] - display_width(cell), ' ');
      line += columns_[c].align == Align::left ? cell + padding : padding + cell;
      line.append(kGap, ' ');
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add_line(headings);
  for (const auto& row : rows_) add_line(row);
  return out;
}

}  // namespace afp::cli
