#include "host/search/repair.hpp"

#include <algorithm>
#include <tuple>

namespace afp::search_detail {

bool Repair::best_shrink(std::uint32_t row, const Item& from, Move& move) const {
  const auto items = items_.row(row);
  bool any = false;
  for (std::uint32_t to = 0; to < items.size() && items[to].bytes < from.bytes; ++to) {
    const double rate = (items[to].value - from.value) / static_cast<double>(from.bytes - items[to].bytes);
    if (any && rate >= move.rate) continue;
    move = {rate, row, to};
    any = true;
  }
  return any;
}

bool Repair::best_growth(std::uint32_t row, const Item& from, std::uint64_t room, Move& move) const {
  const auto items = items_.row(row);
  bool any = false;
  for (std::uint32_t to = 0; to < items.size() && items[to].bytes <= from.bytes + room; ++to) {
    if (items[to].bytes <= from.bytes || items[to].value >= from.value) continue;
    const double rate = slope(from, items[to]);
    if (any && rate <= move.rate) continue;
    move = {rate, row, to};
    any = true;
  }
  return any;
}

void Repair::shrink(std::span<Item> current, std::uint64_t& bytes) const {
  const auto later = [](const Move& a, const Move& b) {
    return std::tie(b.rate, b.row) < std::tie(a.rate, a.row);
  };
  std::vector<Move> heap;
  Move move{};
  for (std::uint32_t row = 0; row < current.size(); ++row)
    if (best_shrink(row, current[row], move)) heap.push_back(move);
  std::make_heap(heap.begin(), heap.end(), later);
  while (bytes > budget_ && !heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    move = heap.back();
    heap.pop_back();
    const Item& to = items_.row(move.row)[move.to];
    bytes -= current[move.row].bytes - to.bytes;
    current[move.row] = to;
    if (best_shrink(move.row, to, move)) {
      heap.push_back(move);
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
}

void Repair::grow(std::span<Item> current, std::uint64_t& bytes) const {
  const auto later = [](const Move& a, const Move& b) {
    return std::tie(a.rate, b.row) < std::tie(b.rate, a.row);
  };
  std::vector<Move> heap;
  Move move{};
  for (std::uint32_t row = 0; row < current.size(); ++row)
    if (best_growth(row, current[row], budget_ - bytes, move)) heap.push_back(move);
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    move = heap.back();
    heap.pop_back();
    const Item& to = items_.row(move.row)[move.to];
    const std::uint64_t more = to.bytes - current[move.row].bytes;
    if (more <= budget_ - bytes) {
      bytes += more;
      current[move.row] = to;
    }
    // What did not fit may have a smaller step that does.
    if (best_growth(move.row, current[move.row], budget_ - bytes, move)) {
      heap.push_back(move);
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
}

void Repair::operator()(std::span<Item> choice) const {
  std::uint64_t bytes = 0;
  for (std::size_t row = 0; row < choice.size(); ++row) {
    // A dominated item first becomes the best of those that beat it.
    const Item from = choice[row];
    for (const Item& item : items_.row(row))
      if (item.bytes <= from.bytes && item.value < from.value) choice[row] = item;
    bytes += choice[row].bytes;
  }
  if (bytes > budget_) shrink(choice, bytes);
  grow(choice, bytes);
}

}  // namespace afp::search_detail
