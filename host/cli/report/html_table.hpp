// A table of HTML, cell by cell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace afp::cli {

class HtmlTable {
 public:
  struct Column {
    std::string heading;    // plain text
    std::string css = {};   // classes of its cells: "n" numbers, "opt" not on a phone
    bool sortable = false;  // by a script; the order of the rows is that of the page
  };
  struct Cell {
    std::string html;        // markup, escaped where it holds text from outside
    std::string value = {};  // what to sort by, where that is not the text
  };

  HtmlTable(std::string caption, std::vector<Column> columns, std::string css = {});

  // As many cells as columns; `css` of the row.
  void add(const std::vector<Cell>& cells, std::string_view css = {});

  bool empty() const { return rows_.empty(); }
  std::string text() const;

 private:
  std::string caption_, css_, rows_;
  std::vector<Column> columns_;
};

}  // namespace afp::cli
