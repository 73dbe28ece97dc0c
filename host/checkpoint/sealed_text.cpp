// Bodies of sealed_text.hpp.
#include "host/checkpoint/sealed_text.hpp"

#include <algorithm>
#include <span>

#include "afp/error.hpp"
#include "host/checkpoint/digest.hpp"

namespace afp {
namespace {

constexpr std::string_view kDigestKey = "\"digest\": \"";
constexpr std::string_view kEnd = "\"\n}\n";
constexpr std::size_t kDigestDigits = 32;

std::string digest_of(std::string_view text) {
  Digest128 digest;
  digest.update(std::as_bytes(std::span(text)));
  return digest.hex();
}

}  // namespace

bool is_digest(std::string_view text) {
  return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string sealed(std::string text) {
  const std::string digest = digest_of(text);
  return text.append(kDigestKey).append(digest).append(kEnd);
}

void require_sealed(std::string_view text, const std::string& what, const std::string& file) {
  const std::size_t tail = kDigestKey.size() + kDigestDigits + kEnd.size();
  const std::string_view end = text.substr(text.size() - std::min(text.size(), tail));
  const bool has_digest = end.size() == tail && end.starts_with(kDigestKey) && end.ends_with(kEnd);
  if (has_digest &&
      end.substr(kDigestKey.size(), kDigestDigits) == digest_of(text.substr(0, text.size() - tail)))
    return;
  throw InputError(
      "the " + what + " was changed after it was written: " +
          std::string(has_digest ? "its text and its digest disagree" : "it does not end with its digest"),
      file);
}

}  // namespace afp
