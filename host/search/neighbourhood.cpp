#include "host/search/neighbourhood.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace afp::search_detail {

Neighbourhood::Neighbourhood(std::span<const SearchProblem::Column> columns,
                             const std::vector<bool>& available) {
  find_places(columns, available);
  find_moves();
  find_bridges();
}

void Neighbourhood::find_places(std::span<const SearchProblem::Column> columns,
                                const std::vector<bool>& available) {
  for (std::uint32_t column = 0; column < columns.size(); ++column)
    if (available[column]) columns_.push_back(column);
  const auto place = [&](std::uint32_t column) {
    return std::tie(columns[column].bits, columns[column].exponent_bits);
  };
  std::stable_sort(columns_.begin(), columns_.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return place(a) < place(b); });
  place_of_.assign(columns.size(), kNone);
  for (std::uint32_t i = 0; i < columns_.size(); ++i) {
    const SearchProblem::Column& at = columns[columns_[i]];
    if (i == 0 || place(columns_[i - 1]) != place(columns_[i]))
      places_.push_back({at.bits, at.exponent_bits, i, 0});
    ++places_.back().column_count;
    place_of_[columns_[i]] = static_cast<std::uint32_t>(places_.size() - 1);
  }
}

std::uint32_t Neighbourhood::place_at(int bits, int exponent_bits) const {
  const auto at = std::lower_bound(places_.begin(), places_.end(), std::pair(bits, exponent_bits),
                                   [](const Place& place, const auto& wanted) {
                                     return std::tie(place.bits, place.exponent_bits) <
                                            std::tie(wanted.first, wanted.second);
                                   });
  if (at == places_.end() || at->bits != bits || at->exponent_bits != exponent_bits) return kNone;
  return static_cast<std::uint32_t>(at - places_.begin());
}

void Neighbourhood::find_moves() {
  const int lowest = places_.front().bits, highest = places_.back().bits;
  for (Place& place : places_) {
    const int n = place.bits, e = place.exponent_bits;
    place.target.fill(kNone);
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
  std::vector<std::uint32_t> part_of(places_.size(), kNone), open;
  std::uint32_t part = 0;
  for (std::uint32_t first = 0; first < places_.size(); ++first) {
    if (part_of[first] != kNone) continue;
    open.assign(1, first);
    part_of[first] = part;
    while (!open.empty()) {
      const Place& place = places_[open.back()];
      open.pop_back();
      for (std::uint32_t b = 0; b < place.bits_count; ++b)
        for (std::uint32_t e = 0; e < place.exponent_count[b]; ++e) {
          const std::uint32_t target = place.target[b * 3 + e];
          if (target == kNone || part_of[target] != kNone) continue;
          part_of[target] = part;
          open.push_back(target);
        }
    }
    ++part;
  }
  return part_of;
}

// The nearest place of every part.
std::vector<std::uint32_t> Neighbourhood::nearest_of_parts(const Place& from,
                                                           const std::vector<std::uint32_t>& part_of,
                                                           std::uint32_t part_count) const {
  std::vector<std::uint32_t> nearest(part_count, kNone);
  std::vector<std::int64_t> distances(part_count, std::numeric_limits<std::int64_t>::max());
  for (std::uint32_t place = 0; place < places_.size(); ++place) {
    const std::int64_t bits = std::int64_t{places_[place].bits} - from.bits;
    const std::int64_t exponent = std::int64_t{places_[place].exponent_bits} - from.exponent_bits;
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
  for (std::uint32_t at = 0; at < places_.size(); ++at) {
    Place& place = places_[at];
    place.first_bridge = static_cast<std::uint32_t>(bridges_.size());
    const std::vector<std::uint32_t> nearest = nearest_of_parts(place, part_of, part_count);
    for (std::uint32_t part = 0; part < part_count; ++part)
      if (part != part_of[at]) bridges_.push_back(nearest[part]);
    // Where no draw stays at the place, its columns would not reach each other.
    const auto drawn_to = std::span(place.target).first(place.bits_count * 3);
    if (place.column_count > 1 && std::find(drawn_to.begin(), drawn_to.end(), at) == drawn_to.end())
      bridges_.push_back(at);
    place.bridge_count = static_cast<std::uint32_t>(bridges_.size()) - place.first_bridge;
  }
}

std::uint32_t Neighbourhood::draw(std::uint32_t column, std::uint32_t bits_word, std::uint32_t exponent_word,
                                  std::uint32_t column_word) const {
  const Place& place = places_[place_of_[column]];
  const std::uint32_t drawn = below(place.bits_count + place.bridge_count, bits_word);
  std::uint32_t target = kNone;
  if (drawn < place.bits_count)
    target = place.target[drawn * 3 + below(place.exponent_count[drawn], exponent_word)];
  else if (place.bridge_count > 0)
    target = bridges_[place.first_bridge + drawn - place.bits_count];
  if (target == kNone) return kNone;
  return columns_[places_[target].first_column + below(places_[target].column_count, column_word)];
}

}  // namespace afp::search_detail
