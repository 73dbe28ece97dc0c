// Bodies of strict_json.hpp.
#include "host/checkpoint/strict_json.hpp"

#include <cstdint>
#include <set>
#include <vector>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {
namespace {

constexpr int kDeepest = 64;

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  std::size_t i = 0;
  while (i < text.size()) {
    const std::uint32_t lead = byte(i);
    const std::size_t length = lead < 0x80              ? 1
                               : (lead >> 5) == 0b110   ? 2
                               : (lead >> 4) == 0b1110  ? 3
                               : (lead >> 3) == 0b11110 ? 4
                                                        : 0;
    if (length == 0) return i;
    if (length > 1) {
      std::uint32_t point = lead & (0x7fu >> length);
      for (std::size_t k = 1; k < length; ++k) {
        if ((byte(i + k) >> 6) != 0b10) return i;
        point = (point << 6) | (byte(i + k) & 0x3f);
      }
      constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // else the encoding is overlong
      const bool surrogate = point >= 0xd800 && point <= 0xdfff;
      if (point < kSmallest[length] || point > 0x10ffff || surrogate) return i;
    }
    i += length;
  }
  return std::string_view::npos;
}

void require_utf8(std::string_view text, const std::string& what, const std::string& file) {
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw InputError(what + " is not UTF-8 at byte " + std::to_string(invalid), file);
  }
  const std::size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    throw InputError(what + " is not JSON: byte " + std::to_string(zero) + " is zero", file);
  }
}

nlohmann::json parse_strict_json(std::string_view text, const std::string& file) {
  using Json = nlohmann::json;
  require_utf8(text, "text", file);
  std::vector<std::set<std::string>> open_objects;  // the keys met so far in each
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        open_objects.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (depth > kDeepest)
          throw InputError("JSON is nested deeper than " + std::to_string(kDeepest), file);
        break;
      case Json::parse_event_t::object_end:
        open_objects.pop_back();
        break;
      case Json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!open_objects.back().insert(key).second) {
          throw InputError("key " + in_quotes(key) + " appears twice in one object", file);
        }
        break;
      }
      default:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::parse_error& error) {
    throw InputError("is not JSON: fault at byte " + std::to_string(error.byte), file);
  } catch (const Json::out_of_range&) {
    throw InputError("is not JSON: a number is too large", file);
  }
}

}  // namespace afp
