// Candidate spaces as text and as lists of Encodings: bodies of afp/candidates.hpp.
#include "afp/candidates.hpp"

#include <algorithm>
#include <charconv>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {
namespace {

constexpr std::string_view kGrammar = "expected parts as N=3..8,E=1..5,block=16|32,scale=e8m0,keep";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

[[noreturn]] void fail(std::string_view part, const std::string& why) {
  throw UsageError(in_quotes(part) + " " + why);
}

int parse_number(std::string_view text, int lowest, int highest, std::string_view part) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < lowest || number > highest)
    fail(part, "holds " + in_quotes(text) + "; expected a number from " + std::to_string(lowest) + " to " +
                   std::to_string(highest));
  return number;
}

// "3", "3..8", "3|5|6..8": ascending, each once.
std::vector<int> parse_numbers(std::string_view text, int lowest, int highest, std::string_view part) {
  std::vector<int> numbers;
  for (const std::string_view piece : split(text, '|')) {
    const std::size_t dots = piece.find("..");
    const int first = parse_number(piece.substr(0, dots), lowest, highest, part);
    const int last =
        dots == std::string_view::npos ? first : parse_number(piece.substr(dots + 2), lowest, highest, part);
    if (last < first) fail(part, "counts down; expected the smaller number first");
    for (int number = first; number <= last; ++number) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

// Values in the order given, each once.
template <class Parse>
auto parse_list(std::string_view text, const Parse& parse) {
  std::vector<decltype(parse(text))> values;
  for (const std::string_view piece : split(text, '|')) {
    const auto value = parse(piece);
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  return values;
}

// Of N bits with this block and scale, the exponent bits of `wanted` (empty: all there are).
void add_encodings(int bits, Block block, ScaleKind scale, const std::vector<int>& wanted,
                   std::vector<Encoding>& encodings) {
  if (wanted.empty()) {
    if (const std::optional<Encoding> one = default_encoding(bits, block, scale)) {
      encodings.push_back(*one);
      return;
    }
  }
  for (const Format format : formats_of(bits)) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), format.exponent_bits) != wanted.end())
      encodings.push_back({format, std::nullopt, block, scale});
  }
}

std::string numbers_text(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!text.empty()) text += '|';
    text += std::to_string(numbers[i]);
    if (last > i) text += (last > i + 1 ? ".." : "|") + std::to_string(numbers[last]);
    i = last + 1;
  }
  return text;
}

template <class Values>
std::string list_text(const Values& values) {
  std::string text;
  for (const auto& value : values) text.append(text.empty() ? "" : "|").append(to_string(value));
  return text;
}

}  // namespace

std::vector<Encoding> CandidateSpace::encodings() const {
  std::vector<Encoding> all;
  for (const Block block : blocks) {
    const std::vector<ScaleKind> kinds = scales.empty() ? std::vector{default_scale(block)} : scales;
    for (const ScaleKind scale : kinds)
      for (const int n : bits) add_encodings(n, block, scale, exponent_bits, all);
  }
  std::vector<Encoding> once;
  for (const Encoding& encoding : all)
    if (std::find(once.begin(), once.end(), encoding) == once.end()) once.push_back(encoding);
  all = std::move(once);
  if (all.empty()) throw UsageError("the candidates " + in_quotes(to_string(*this)) + " are none at all");
  return all;
}

CandidateSpace parse_candidates(std::string_view text, const CandidateSpace& defaults) {
  CandidateSpace space = defaults;
  std::vector<std::string_view> seen;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) fail(part, "is there twice");
    seen.push_back(key);
    if (key == "keep" && equals == std::string_view::npos) {
      space.keep = true;
    } else if (equals == std::string_view::npos || value.empty()) {
      fail(part, "is no part; " + std::string(kGrammar));
    } else if (key == "N") {
      space.bits = parse_numbers(value, kMinBits, kMaxBits, part);
    } else if (key == "E") {
      space.exponent_bits = parse_numbers(value, 1, kMaxBits - 1, part);
    } else if (key == "block") {
      space.blocks = parse_list(value, parse_block);
    } else if (key == "scale") {
      space.scales = parse_list(value, parse_scale);
    } else {
      fail(key, "is unknown; " + std::string(kGrammar));
    }
  }
  (void)space.encodings();  // refuses an empty space
  return space;
}

std::string to_string(const CandidateSpace& space) {
  std::string text = "N=" + numbers_text(space.bits);
  if (!space.exponent_bits.empty()) text += ",E=" + numbers_text(space.exponent_bits);
  text += ",block=" + list_text(space.blocks);
  if (!space.scales.empty()) text += ",scale=" + list_text(space.scales);
  if (space.keep) text += ",keep";
  return text;
}

}  // namespace afp
