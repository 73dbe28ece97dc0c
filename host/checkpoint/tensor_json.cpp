// Bodies of tensor_json.hpp.
#include "host/checkpoint/tensor_json.hpp"

#include "afp/error.hpp"
#include "host/checkpoint/quote.hpp"

namespace afp {

nlohmann::ordered_json tensor_line(const TensorInfo& tensor) {
  nlohmann::ordered_json line;
  line["name"] = tensor.name;
  line["dtype"] = dtype_name(tensor.dtype);
  line["shape"] = tensor.shape;
  return line;
}

TensorInfo parse_tensor(JsonObject& object) {
  TensorInfo tensor;
  tensor.name = object.text("name");
  tensor.dtype = parse_dtype_key(object);
  tensor.shape = parse_shape_key(object);
  return tensor;
}

DType parse_dtype_key(JsonObject& object) {
  const std::string& dtype = object.text("dtype");
  const std::optional<DType> known = parse_dtype(dtype);
  if (!known) object.fail("dtype " + in_quotes(dtype) + " is unknown");
  return *known;
}

Shape parse_shape_key(JsonObject& object) {
  Shape shape;
  for (const nlohmann::json& size : object.array("shape")) {
    if (!size.is_number_unsigned()) object.fail("shape holds something that is no size");
    shape.push_back(size.get<std::uint64_t>());
  }
  return shape;
}

Encoding parse_encoding_key(JsonObject& object) {
  try {
    return parse_encoding(object.text("encoding"));
  } catch (const UsageError& error) {
    object.fail(error.what());
  }
}

double parse_sum(JsonObject& object, const std::string& key) {
  const double value = object.number(key);
  if (!(value >= 0.0)) object.fail("key " + in_quotes(key) + " is negative");
  return value;
}

}  // namespace afp
