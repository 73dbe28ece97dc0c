// Bodies of safetensors_json.hpp: one handler of JSON events that knows at each moment what may come next.
#include "host/checkpoint/safetensors_json.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {
namespace {

using Json = nlohmann::json;

class HeaderEvents final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderEvents(const std::string& file) : file_(file) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { refuse("null"); }
  bool boolean(bool value) override { refuse(value ? "true" : "false"); }
  // The JSON library calls this one for numbers with a minus sign only: -0 is refused with them, as the
  // reference implementation does.
  bool number_integer(number_integer_t value) override {
    refuse("the negative number " + std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    refuse(text + ", which is no integer of 64 bits");
  }
  bool binary(binary_t&) override { refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      tensor_.shape.push_back(value);
    } else if (place_ == Place::offsets && offset_count_ < 2) {
      (offset_count_++ == 0 ? tensor_.begin : tensor_.end) = value;
    } else if (place_ == Place::offsets) {
      fail("data_offsets has more than 2 numbers, expected [begin, end]");
    } else {
      refuse(std::to_string(value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      header_.metadata[metadata_key_] = std::move(value);
    } else if (place_ == Place::entry && field_ == Field::dtype) {
      const std::optional<DType> dtype = parse_dtype(value);
      if (!dtype) fail("dtype " + in_quotes(value) + " is unknown");
      tensor_.dtype = *dtype;
    } else {
      refuse("the string " + in_quotes(value));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::document) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = in_metadata_ ? Place::metadata : Place::entry;
    } else {
      refuse("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::entry) finish_entry();
    place_ = Place::top;  // of no consequence at the end of the document: nothing but spaces may follow
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::entry && field_ == Field::shape) {
      place_ = Place::shape;
    } else if (place_ == Place::entry && field_ == Field::offsets) {
      place_ = Place::offsets;
    } else {
      refuse("an array");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offset_count_ != 2) {
      fail("data_offsets has length " + std::to_string(offset_count_) + ", expected [begin, end]");
    }
    place_ = Place::entry;
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::top) {
      start_entry(key);
    } else if (place_ == Place::metadata) {
      if (!header_.metadata.emplace(key, "").second)
        fail("key " + in_quotes(key) + " appears twice in __metadata__");
      metadata_key_ = std::move(key);
    } else {
      start_field(key);
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw InputError("header is not JSON: fault at byte " + std::to_string(position), file_);
  }

 private:
  enum class Place { document, top, metadata, entry, shape, offsets };
  enum class Field { dtype, shape, offsets };

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(message, file_, place_ == Place::document || in_metadata_ ? "" : tensor_.name);
  }

  // A value of the wrong kind for its place.
  [[noreturn]] void refuse(const std::string& found) const {
    switch (place_) {
      case Place::document:
        fail("header is " + found + ", expected an object");
      case Place::top:
        fail(in_metadata_ ? "__metadata__ is " + found + ", expected an object of strings"
                          : "entry is " + found + ", expected an object");
      case Place::metadata:
        fail("__metadata__ holds " + found + " at " + in_quotes(metadata_key_) + ", expected a string");
      case Place::entry:
        fail(field_ == Field::dtype   ? "dtype is " + found + ", expected a string"
             : field_ == Field::shape ? "shape is " + found + ", expected an array"
                                      : "data_offsets is " + found + ", expected an array");
      case Place::shape:
        fail("shape holds " + found + ", expected sizes");
      case Place::offsets:
        fail("data_offsets holds " + found + ", expected [begin, end]");
    }
    fail("unexpected " + found);
  }

  void start_entry(string_t& name) {
    in_metadata_ = name == "__metadata__";
    tensor_ = {};
    tensor_.name = std::move(name);
    has_dtype_ = has_shape_ = has_offsets_ = false;
    if (!names_.insert(tensor_.name).second) {
      fail(in_metadata_ ? "__metadata__ appears twice in the header" : "name appears twice in the header");
    }
  }

  void start_field(const string_t& name) {
    bool* seen = nullptr;
    if (name == "dtype") {
      field_ = Field::dtype;
      seen = &has_dtype_;
    } else if (name == "shape") {
      field_ = Field::shape;
      seen = &has_shape_;
    } else if (name == "data_offsets") {
      field_ = Field::offsets;
      seen = &has_offsets_;
      offset_count_ = 0;
    } else {
      fail("key " + in_quotes(name) + " is unknown, expected dtype, shape and data_offsets");
    }
    if (*seen) fail("key " + in_quotes(name) + " appears twice");
    *seen = true;
  }

  void finish_entry() {
    if (!has_dtype_) fail("dtype is missing");
    if (!has_shape_) fail("shape is missing");
    if (!has_offsets_) fail("data_offsets is missing");
    header_.tensors.push_back(std::move(tensor_));
  }

  const std::string& file_;
  SafetensorsHeader header_;
  std::unordered_set<std::string> names_;  // tensors and __metadata__

  Place place_ = Place::document;
  bool in_metadata_ = false;  // the entry at hand is __metadata__
  std::string metadata_key_;

  SafetensorsEntry tensor_;  // the entry at hand
  Field field_ = Field::dtype;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  int offset_count_ = 0;
};

}  // namespace

SafetensorsHeader parse_safetensors_json(std::string_view json, const std::string& file_name) {
  HeaderEvents events(file_name);
  Json::sax_parse(json.begin(), json.end(), &events);
  return events.take();
}

}  // namespace afp
