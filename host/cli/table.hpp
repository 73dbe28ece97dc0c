// Aligned text tables.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace afp::cli {

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string heading;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells);  // one a column

  // One line a row, headings first, each line after `indent` spaces. Where `width` is given and the table is
  // wider, the cells of the first column are shortened, but not below 16 columns.
  std::string text(std::size_t indent = 0, std::optional<std::size_t> width = std::nullopt) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace afp::cli
