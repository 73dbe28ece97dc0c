// Loads the digits network and its held-out images from safetensors files.
#include "digits_files.hpp"

#include <afp/checkpoint.hpp>
#include <afp/codec.hpp>
#include <afp/error.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

namespace digits {
namespace {

[[noreturn]] void refuse(const afp::Checkpoint& checkpoint, const std::string& tensor,
                         const std::string& message) {
  throw afp::InputError(message, checkpoint.path().string(), tensor);
}

const afp::CheckpointTensor& require(const afp::Checkpoint& checkpoint, const std::string& name) {
  const afp::CheckpointTensor* tensor = checkpoint.find(name);
  if (tensor == nullptr) refuse(checkpoint, name, "not found, but the digits network needs it");
  return *tensor;
}

void require_shape(const afp::Checkpoint& checkpoint, const afp::CheckpointTensor& tensor,
                   const afp::Shape& shape) {
  if (tensor.shape != shape) {
    refuse(checkpoint, tensor.name,
           "found shape " + afp::to_string(tensor.shape) + ", expected " + afp::to_string(shape));
  }
}

template <typename Element>
std::vector<Element> read(const afp::Checkpoint& checkpoint, const afp::CheckpointTensor& tensor) {
  std::vector<Element> elements(tensor.elements());
  checkpoint.read(tensor, 0, std::as_writable_bytes(std::span(elements)));
  return elements;
}

std::vector<float> read_floats(const afp::Checkpoint& checkpoint, const afp::CheckpointTensor& tensor) {
  if (tensor.dtype == afp::DType::F32) return read<float>(checkpoint, tensor);
  const auto to_float = tensor.dtype == afp::DType::F16 ? afp::f16_to_float : afp::bf16_to_float;
  std::vector<float> floats;
  for (const std::uint16_t bits : read<std::uint16_t>(checkpoint, tensor)) floats.push_back(to_float(bits));
  return floats;
}

std::vector<double> load_weights(const afp::Checkpoint& checkpoint, const std::string& name,
                                 const afp::Shape& shape) {
  const afp::CheckpointTensor& tensor = require(checkpoint, name);
  if (tensor.dtype != afp::DType::F32 && tensor.dtype != afp::DType::F16 &&
      tensor.dtype != afp::DType::BF16) {
    refuse(checkpoint, name,
           "found " + std::string(afp::dtype_name(tensor.dtype)) +
               ", expected F32, F16 or BF16 (`afp dequantize` turns a packed checkpoint into a plain one)");
  }
  require_shape(checkpoint, tensor, shape);
  const std::vector<float> weights = read_floats(checkpoint, tensor);
  const auto bad = std::count_if(weights.begin(), weights.end(), [](float w) { return !std::isfinite(w); });
  if (bad != 0)
    refuse(checkpoint, name, "found " + std::to_string(bad) + " NaN or Inf, expected finite weights");
  return {weights.begin(), weights.end()};
}

Layer load_layer(const afp::Checkpoint& checkpoint, const std::string& name, const afp::Shape& shape) {
  return {.weight = load_weights(checkpoint, name + ".weight", shape),
          .bias = load_weights(checkpoint, name + ".bias", {shape.front()})};
}

const afp::CheckpointTensor& require_bytes(const afp::Checkpoint& checkpoint, const std::string& name) {
  const afp::CheckpointTensor& tensor = require(checkpoint, name);
  if (tensor.dtype != afp::DType::U8) {
    refuse(checkpoint, name, "found " + std::string(afp::dtype_name(tensor.dtype)) + ", expected U8");
  }
  return tensor;
}

void require_at_most(const afp::Checkpoint& checkpoint, const std::string& name,
                     const std::vector<std::uint8_t>& values, int limit) {
  const auto largest = std::max_element(values.begin(), values.end());
  if (largest != values.end() && *largest > limit) {
    refuse(checkpoint, name,
           "found value " + std::to_string(*largest) + ", expected 0 to " + std::to_string(limit));
  }
}

}  // namespace

Network load_network(const std::filesystem::path& path) {
  const afp::Checkpoint checkpoint = afp::Checkpoint::open(path);
  return {.conv1 = load_layer(checkpoint, "conv1", {20, 1, 3, 3}),
          .conv2 = load_layer(checkpoint, "conv2", {40, 20, 3, 3}),
          .conv3 = load_layer(checkpoint, "conv3", {60, 40, 3, 3}),
          .fc1 = load_layer(checkpoint, "fc1", {100, 240}),
          .fc2 = load_layer(checkpoint, "fc2", {kClasses, 100})};
}

TestSet load_test_set(const std::filesystem::path& path) {
  const afp::Checkpoint checkpoint = afp::Checkpoint::open(path);
  const afp::CheckpointTensor& image_tensor = require_bytes(checkpoint, "test_images");
  const afp::CheckpointTensor& label_tensor = require_bytes(checkpoint, "test_labels");
  const std::uint64_t count = image_tensor.shape.empty() ? 0 : image_tensor.shape.front();
  require_shape(checkpoint, image_tensor, {count, kSide, kSide});
  require_shape(checkpoint, label_tensor, {count});
  if (count == 0) refuse(checkpoint, image_tensor.name, "found no images, expected at least one");

  const std::vector<std::uint8_t> pixels = read<std::uint8_t>(checkpoint, image_tensor);
  require_at_most(checkpoint, image_tensor.name, pixels, kLargestPixel);
  TestSet test_set{.images = std::vector<Image>(count),
                   .labels = read<std::uint8_t>(checkpoint, label_tensor)};
  require_at_most(checkpoint, label_tensor.name, test_set.labels, kClasses - 1);
  std::memcpy(test_set.images.data(), pixels.data(), pixels.size());
  return test_set;
}

}  // namespace digits
