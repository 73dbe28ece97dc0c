// Keys that plans and cost tables have in common.
#pragma once

#include <cstdint>
#include <string>

#include "afp/objective.hpp"
#include "host/checkpoint/json_object.hpp"

namespace afp {

// Refuses a document without `key` ("is no KIND") and one of another version.
void require_version(JsonObject& object, const std::string& key, const std::string& kind,
                     std::uint64_t version);

Objective parse_objective_key(JsonObject& object);
std::string parse_effort_key(JsonObject& object);    // "exact" or "fast"
std::uint32_t parse_sample_key(JsonObject& object);  // 1 or more

}  // namespace afp
