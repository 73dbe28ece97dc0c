// Brings an assignment within the budget by the moves that lose least value a byte, and spends what is left
// by those that save most.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/search/hulls.hpp"

namespace afp::search_detail {

class Repair {
 public:
  // `items` undominated, and alive as long as this.
  Repair(const ItemRows& items, std::uint64_t budget) : items_(items), budget_(budget) {}

  // `choice`: an available item of every row, undominated or not. The smallest ones must fit.
  void operator()(std::span<Item> choice) const;

 private:
  struct Move {
    double rate;  // value lost a byte saved, or saved a byte gained
    std::uint32_t row;
    std::uint32_t to;
  };
  bool best_shrink(std::uint32_t row, const Item& from, Move& move) const;
  bool best_growth(std::uint32_t row, const Item& from, std::uint64_t room, Move& move) const;
  void shrink(std::span<Item> current, std::uint64_t& bytes) const;
  void grow(std::span<Item> current, std::uint64_t& bytes) const;

  const ItemRows& items_;
  std::uint64_t budget_;
};

}  // namespace afp::search_detail
