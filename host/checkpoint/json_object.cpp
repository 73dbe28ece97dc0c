// Bodies of json_object.hpp.
#include "host/checkpoint/json_object.hpp"

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {
namespace {

std::string dump(const nlohmann::ordered_json& value, int indent) {
  try {
    return value.dump(indent);
  } catch (const nlohmann::json::type_error&) {  // what the JSON library says of text that is not UTF-8
    throw InputError("a name is not UTF-8");
  }
}

}  // namespace

JsonObject::JsonObject(const nlohmann::json& value, std::string where, const std::string& file)
    : object_(&value), where_(std::move(where)), file_(file) {
  if (!value.is_object()) fail("is " + std::string(value.type_name()) + ", expected an object");
}

const nlohmann::json& JsonObject::get(const std::string& key) {
  asked_.insert(key);
  const auto found = object_->find(key);
  if (found == object_->end()) fail("key " + in_quotes(key) + " is missing");
  return *found;
}

const std::string& JsonObject::text(const std::string& key) {
  const nlohmann::json& value = get(key);
  if (!value.is_string()) wrong_type(key, "a string");
  return value.get_ref<const std::string&>();
}

std::uint64_t JsonObject::unsigned_number(const std::string& key) {
  const nlohmann::json& value = get(key);
  if (!value.is_number_unsigned()) wrong_type(key, "a whole number of 64 bits");
  return value.get<std::uint64_t>();
}

double JsonObject::number(const std::string& key) {
  const nlohmann::json& value = get(key);
  if (!value.is_number()) wrong_type(key, "a number");
  return value.get<double>();
}

bool JsonObject::boolean(const std::string& key) {
  const nlohmann::json& value = get(key);
  if (!value.is_boolean()) wrong_type(key, "true or false");
  return value.get<bool>();
}

const nlohmann::json& JsonObject::array(const std::string& key) {
  const nlohmann::json& value = get(key);
  if (!value.is_array()) wrong_type(key, "an array");
  return value;
}

void JsonObject::refuse_other_keys() const {
  for (const auto& [key, value] : object_->items()) {
    if (!asked_.contains(key)) fail("key " + in_quotes(key) + " is unknown");
  }
}

void JsonObject::fail(const std::string& message) const {
  throw InputError(where_.empty() ? message : where_ + ": " + message, file_);
}

void JsonObject::wrong_type(const std::string& key, const std::string& expected) const {
  fail("key " + in_quotes(key) + " is " + in_quotes(dump(nlohmann::ordered_json(object_->at(key)), -1)) +
       ", expected " + expected);
}

std::string element_name(const std::string& array, std::size_t index) {
  return array + "[" + std::to_string(index) + "]";
}

std::string dump_line(const nlohmann::ordered_json& value) {
  return dump(value, -1);
}

std::string dump_indented(const nlohmann::ordered_json& value) {
  return dump(value, 2);
}

std::string lines_in_brackets(const std::vector<nlohmann::ordered_json>& elements) {
  std::string text = "[";
  for (std::size_t i = 0; i < elements.size(); ++i) text += (i == 0 ? "\n" : ",\n") + dump_line(elements[i]);
  return text + "\n]";
}

}  // namespace afp
