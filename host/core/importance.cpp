// Importance files: bodies of Importance and of importance.hpp.
#include "host/core/importance.hpp"

#include <cmath>
#include <cstring>

#include "afp/block_grid.hpp"
#include "afp/codec.hpp"
#include "afp/error.hpp"

namespace afp {
namespace {

float value_at(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t index) {
  if (dtype == DType::F32) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * index, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, bytes.data() + 2 * index, sizeof bits);
  return dtype == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
}

}  // namespace

Importance Importance::read(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  Importance importance;
  importance.file = path;
  for (const CheckpointTensor& tensor : file.tensors()) {
    const bool is_float =
        tensor.dtype == DType::F32 || tensor.dtype == DType::F16 || tensor.dtype == DType::BF16;
    if (tensor.shape.size() != 1 || !is_float)
      throw InputError("is " + std::string(dtype_name(tensor.dtype)) + " " + to_string(tensor.shape) +
                           "; an importance is a vector of F32, F16 or BF16",
                       path, tensor.name);
    std::vector<std::byte> bytes(tensor.bytes());
    file.read(tensor, 0, bytes);
    std::vector<float>& channels = importance.channels[tensor.name];
    for (std::uint64_t i = 0; i < tensor.elements(); ++i) {
      const float value = value_at(bytes, tensor.dtype, i);
      if (!std::isfinite(value) || value < 0.0f)
        throw InputError("channel " + std::to_string(i) + " has the importance " + std::to_string(value) +
                             "; expected a finite number of 0 or more",
                         path, tensor.name);
      channels.push_back(value);
    }
  }
  return importance;
}

std::vector<float> column_importance(const Importance& importance, const TensorInfo& tensor) {
  const auto found = importance.channels.find(tensor.name);
  if (found == importance.channels.end())
    throw InputError("has no importance for this tensor, which is to be quantized", importance.file,
                     tensor.name);
  const std::vector<float>& channels = found->second;
  const BlockGrid grid({BlockKind::tensor, 0}, kMaxBits, tensor.shape);
  const std::uint64_t inputs = tensor.shape.size() > 1 ? tensor.shape[1] : grid.columns;
  if (channels.size() != grid.columns && channels.size() != inputs)
    throw InputError("has " + std::to_string(channels.size()) + " channels; expected " +
                         std::to_string(inputs) +
                         (inputs == grid.columns ? "" : " or " + std::to_string(grid.columns)) +
                         " for shape " + to_string(tensor.shape),
                     importance.file, tensor.name);
  // Of a convolution the columns of one input channel are neighbours.
  const std::uint64_t repeat = grid.columns / channels.size();
  std::vector<float> columns;
  for (const float channel : channels) columns.insert(columns.end(), repeat, channel);
  return columns;
}

}  // namespace afp
