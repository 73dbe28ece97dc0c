// Bodies of search_json.hpp.
#include "host/core/search_json.hpp"

#include <limits>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {

void require_version(JsonObject& object, const std::string& key, const std::string& kind,
                     std::uint64_t version) {
  if (!object.has(key)) object.fail("is no " + kind + ": key " + in_quotes(key) + " is missing");
  const std::uint64_t found = object.unsigned_number(key);
  if (found != version) {
    object.fail("is a " + kind + " of version " + std::to_string(found) + ", expected " +
                std::to_string(version));
  }
}

Objective parse_objective_key(JsonObject& object) {
  try {
    return parse_objective(object.text("objective"));
  } catch (const UsageError& error) {
    object.fail(error.what());
  }
}

std::string parse_effort_key(JsonObject& object) {
  const std::string& effort = object.text("effort");
  if (effort != "exact" && effort != "fast")
    object.fail("effort is " + in_quotes(effort) + ", expected 'exact' or 'fast'");
  return effort;
}

std::uint32_t parse_sample_key(JsonObject& object) {
  const std::uint64_t sample = object.unsigned_number("sample");
  if (sample == 0 || sample > std::numeric_limits<std::uint32_t>::max())
    object.fail("key 'sample' is " + std::to_string(sample) + ", expected 1 or more");
  return static_cast<std::uint32_t>(sample);
}

}  // namespace afp
