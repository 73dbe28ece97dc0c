// What this library's JSON files say of a tensor in the same words everywhere: name, dtype, shape, Encoding.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "afp/encoding.hpp"
#include "afp/tensor.hpp"
#include "host/checkpoint/json_object.hpp"

namespace afp {

// {"name", "dtype", "shape"}, to be gone on with.
nlohmann::ordered_json tensor_line(const TensorInfo& tensor);
TensorInfo parse_tensor(JsonObject& object);

DType parse_dtype_key(JsonObject& object);
Shape parse_shape_key(JsonObject& object);
Encoding parse_encoding_key(JsonObject& object);  // "encoding"

// A number that is not negative.
double parse_sum(JsonObject& object, const std::string& key);

}  // namespace afp
