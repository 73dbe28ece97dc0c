// The moves of annealing: from a column to others near it in the plane of bits and exponent bits.
//
// From (N, E) the original draws N' evenly in max(N-1, E+1, lo)..min(N+1, hi), then E' evenly in
// max(E-1, 0)..min(E+1, N'-1, N-1). Here a place holds any number of columns, one of which is drawn evenly,
// and not every place is there: a draw that meets a gap is no move. Where gaps would cut the places into
// parts, each place has a bridge to the nearest place of every other part, which is drawn as often as one N'.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "afp/annealing.hpp"
#include "afp/search.hpp"

namespace afp::search_detail {

// What a MoveGraph points to.
struct MoveArrays {
  std::vector<MovePlace> places;
  std::vector<std::uint32_t> columns, bridges, place_of;

  MoveGraph view() const {
    return {places.data(), columns.data(), bridges.data(), place_of.data(),
            places.size(), columns.size(), bridges.size(), place_of.size()};
  }
  void append(const MoveArrays& more);  // as neighbourhoods behind those that are there
};

class Neighbourhood {
 public:
  // Of the columns of which `available` is true: at least one.
  Neighbourhood(std::span<const SearchProblem::Column> columns, const std::vector<bool>& available);

  // The column drawn by three words from an available one; kNoMove where there is no move.
  std::uint32_t draw(std::uint32_t column, std::uint32_t bits_word, std::uint32_t exponent_word,
                     std::uint32_t column_word) const {
    return draw_column(moves_.view(), moves_.place_of[column], bits_word, exponent_word, column_word);
  }

  std::span<const std::uint32_t> available() const { return moves_.columns; }
  const MoveArrays& moves() const { return moves_; }

 private:
  void find_places(std::span<const SearchProblem::Column> columns, const std::vector<bool>& available);
  void find_moves();
  void find_bridges();
  std::vector<std::uint32_t> parts() const;
  std::vector<std::uint32_t> nearest_of_parts(const SearchProblem::Column& from,
                                              const std::vector<std::uint32_t>& part_of,
                                              std::uint32_t part_count) const;
  std::uint32_t place_at(int bits, int exponent_bits) const;

  MoveArrays moves_;                       // places by bits, then exponent bits
  std::vector<SearchProblem::Column> at_;  // of the places
};

}  // namespace afp::search_detail
