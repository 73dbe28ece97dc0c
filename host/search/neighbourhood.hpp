// The moves of annealing: from a column to others near it in the plane of bits and exponent bits.
//
// From (N, E) the original draws N' evenly in max(N-1, E+1, lo)..min(N+1, hi), then E' evenly in
// max(E-1, 0)..min(E+1, N'-1, N-1). Here a place holds any number of columns, one of which is drawn evenly,
// and not every place is there: a draw that meets a gap is no move. Where gaps would cut the places into
// parts, each place has a bridge to the nearest place of every other part, which is drawn as often as one N'.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "afp/search.hpp"
#include "host/search/random.hpp"

namespace afp::search_detail {

class Neighbourhood {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  // Of the columns of which `available` is true: at least one.
  Neighbourhood(std::span<const SearchProblem::Column> columns, const std::vector<bool>& available);

  // The column drawn by three words from an available one; kNone where there is no move.
  std::uint32_t draw(std::uint32_t column, std::uint32_t bits_word, std::uint32_t exponent_word,
                     std::uint32_t column_word) const;

  std::span<const std::uint32_t> available() const { return columns_; }

 private:
  struct Place {
    int bits, exponent_bits;
    std::uint32_t first_column, column_count;  // in columns_
    std::uint32_t bits_count = 0;              // how many N' are drawn from
    std::uint32_t first_bridge = 0, bridge_count = 0;
    std::array<std::uint8_t, 3> exponent_count{};
    std::array<std::uint32_t, 9> target{};  // place by N' and E'; kNone: a gap
  };

  void find_places(std::span<const SearchProblem::Column> columns, const std::vector<bool>& available);
  void find_moves();
  void find_bridges();
  std::vector<std::uint32_t> parts() const;
  std::vector<std::uint32_t> nearest_of_parts(const Place& from, const std::vector<std::uint32_t>& part_of,
                                              std::uint32_t part_count) const;
  std::uint32_t place_at(int bits, int exponent_bits) const;

  std::vector<Place> places_;            // by bits, then exponent bits
  std::vector<std::uint32_t> columns_;   // by place
  std::vector<std::uint32_t> place_of_;  // column
  std::vector<std::uint32_t> bridges_;   // places
};

}  // namespace afp::search_detail
