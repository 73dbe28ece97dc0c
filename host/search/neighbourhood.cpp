#include "host/search/neighbourhood.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <tuple>

namespace afp::search_detail {

void MoveArrays::append(const MoveArrays& more) {
  const auto place = static_cast<std::uint32_t>(places.size());
  const auto column = static_cast<std::uint32_t>(columns.size());
  const auto bridge = static_cast<std::uint32_t>(bridges.size());
  const auto moved = [&](std::uint32_t to) { return to == kNoMove ? kNoMove : to + place; };
  for (MovePlace added : more.places) {
    added.first_column += column;
    added.first_bridge += bridge;
    for (std::uint32_t& target : added.target) target = moved(target);
    places.push_back(added);
  }
  columns.insert(columns.end(), more.columns.begin(), more.columns.end());
  std::transform(more.bridges.begin(), more.bridges.end(), std::back_inserter(bridges), moved);
  std::transform(more.place_of.begin(), more.place_of.end(), std::back_inserter(place_of), moved);
}

Neighbourhood::Neighbourhood(std::span<const SearchProblem::Column> columns,
                             const std::vector<bool>& available) {
  find_places(columns, available);
  find_moves();
  find_bridges();
}

void Neighbourhood::find_places(std::span<const SearchProblem::Column> columns,
                                const std::vector<bool>& available) {
  std::vector<std::uint32_t>& sorted = moves_.columns;
  for (std::uint32_t column = 0; column < columns.size(); ++column)
    if (available[column]) sorted.push_back(column);
  const auto place = [&](std::uint32_t column) {
    return std::tie(columns[column].bits, columns[column].exponent_bits);
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return place(a) < place(b); });
  moves_.place_of.assign(columns.size(), kNoMove);
  for (std::uint32_t i = 0; i < sorted.size(); ++i) {
    if (i == 0 || place(sorted[i - 1]) != place(sorted[i])) {
      moves_.places.push_back({.first_column = i});
      at_.push_back(columns[sorted[i]]);
    }
    ++moves_.places.back().column_count;
    moves_.place_of[sorted[i]] = static_cast<std::uint32_t>(at_.size() - 1);
  }
}

std::uint32_t Neighbourhood::place_at(int bits, int exponent_bits) const {
  const auto at = std::lower_bound(at_.begin(), at_.end(), std::pair(bits, exponent_bits),
                                   [](const SearchProblem::Column& place, const auto& wanted) {
                                     return std::tie(place.bits, place.exponent_bits) <
                                            std::tie(wanted.first, wanted.second);
                                   });
  if (at == at_.end() || at->bits != bits || at->exponent_bits != exponent_bits) return kNoMove;
  return static_cast<std::uint32_t>(at - at_.begin());
}

void Neighbourhood::find_moves() {
  const int lowest = at_.front().bits, highest = at_.back().bits;
  for (std::size_t i = 0; i < at_.size(); ++i) {
    MovePlace& place = moves_.places[i];
    const int n = at_[i].bits, e = at_[i].exponent_bits;
    std::fill(std::begin(place.target), std::end(place.target), kNoMove);
    if (e < 0 || e >= n) continue;  // no state of the original: bridges alone lead there and away
    for (int bits = std::max({n - 1, e + 1, lowest}); bits <= std::min(n + 1, highest); ++bits) {
      std::uint32_t count = 0;
      for (int exponent = std::max(e - 1, 0); exponent <= std::min({e + 1, bits - 1, n - 1}); ++exponent)
        place.target[place.bits_count * 3 + count++] = place_at(bits, exponent);
      place.exponent_count[place.bits_count++] = static_cast<std::uint8_t>(count);
    }
  }
}

// Which part of the plane each place belongs to: those that moves connect, which lead both ways.
std::vector<std::uint32_t> Neighbourhood::parts() const {
  std::vector<std::uint32_t> part_of(at_.size(), kNoMove), open;
  std::uint32_t part = 0;
  for (std::uint32_t first = 0; first < at_.size(); ++first) {
    if (part_of[first] != kNoMove) continue;
    open.assign(1, first);
    part_of[first] = part;
    while (!open.empty()) {
      const MovePlace& place = moves_.places[open.back()];
      open.pop_back();
      for (std::uint32_t b = 0; b < place.bits_count; ++b)
        for (std::uint32_t e = 0; e < place.exponent_count[b]; ++e) {
          const std::uint32_t target = place.target[b * 3 + e];
          if (target == kNoMove || part_of[target] != kNoMove) continue;
          part_of[target] = part;
          open.push_back(target);
        }
    }
    ++part;
  }
  return part_of;
}

// The nearest place of every part.
std::vector<std::uint32_t> Neighbourhood::nearest_of_parts(const SearchProblem::Column& from,
                                                           const std::vector<std::uint32_t>& part_of,
                                                           std::uint32_t part_count) const {
  std::vector<std::uint32_t> nearest(part_count, kNoMove);
  std::vector<std::int64_t> distances(part_count, std::numeric_limits<std::int64_t>::max());
  for (std::uint32_t place = 0; place < at_.size(); ++place) {
    const std::int64_t bits = std::int64_t{at_[place].bits} - from.bits;
    const std::int64_t exponent = std::int64_t{at_[place].exponent_bits} - from.exponent_bits;
    const std::int64_t distance = bits * bits + exponent * exponent;
    if (distance >= distances[part_of[place]]) continue;
    distances[part_of[place]] = distance;
    nearest[part_of[place]] = place;
  }
  return nearest;
}

void Neighbourhood::find_bridges() {
  const std::vector<std::uint32_t> part_of = parts();
  const std::uint32_t part_count = *std::max_element(part_of.begin(), part_of.end()) + 1;
  std::vector<std::uint32_t>& bridges = moves_.bridges;
  for (std::uint32_t at = 0; at < at_.size(); ++at) {
    MovePlace& place = moves_.places[at];
    place.first_bridge = static_cast<std::uint32_t>(bridges.size());
    const std::vector<std::uint32_t> nearest = nearest_of_parts(at_[at], part_of, part_count);
    for (std::uint32_t part = 0; part < part_count; ++part)
      if (part != part_of[at]) bridges.push_back(nearest[part]);
    // Where no draw stays at the place, its columns would not reach each other.
    const auto drawn_to = std::span(place.target).first(place.bits_count * 3);
    if (place.column_count > 1 && std::find(drawn_to.begin(), drawn_to.end(), at) == drawn_to.end())
      bridges.push_back(at);
    place.bridge_count = static_cast<std::uint32_t>(bridges.size()) - place.first_bridge;
  }
}

}  // namespace afp::search_detail
