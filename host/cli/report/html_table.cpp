// Bodies of html_table.hpp.
#include "host/cli/report/html_table.hpp"

#include <fmt/format.h>

#include <utility>

#include "host/cli/report/markup.hpp"

namespace afp::cli {
namespace {

std::string attribute(std::string_view name, std::string_view value) {
  return value.empty() ? "" : fmt::format(" {}=\"{}\"", name, escaped(value));
}

}  // namespace

HtmlTable::HtmlTable(std::string caption, std::vector<Column> columns, std::string css)
    : caption_(std::move(caption)), css_(std::move(css)), columns_(std::move(columns)) {}

void HtmlTable::add(const std::vector<Cell>& cells, std::string_view css) {
  rows_ += fmt::format("<tr{}>", attribute("class", css));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string_view element = i == 0 ? "th scope=\"row\"" : "td";
    rows_ += fmt::format("<{}{}{}>{}</{}>", element, attribute("class", columns_[i].css),
                         attribute("data-v", cells[i].value), cells[i].html, i == 0 ? "th" : "td");
  }
  rows_ += "</tr>\n";
}

std::string HtmlTable::text() const {
  std::string out =
      fmt::format("<table{}><caption>{}</caption>\n<thead><tr>", attribute("class", css_), escaped(caption_));
  for (const Column& column : columns_)
    out += fmt::format("<th scope=\"col\"{}{}>{}</th>", attribute("class", column.css),
                       column.sortable ? " data-sort=\"\"" : "", escaped(column.heading));
  return out + "</tr></thead>\n<tbody>\n" + rows_ + "</tbody></table>\n";
}

}  // namespace afp::cli
