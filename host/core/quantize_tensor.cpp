// One tensor in memory: the passes of TensorEncoder over a single piece.
#include <cstring>

#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "host/core/narrow.hpp"
#include "host/core/tensor_encoder.hpp"

namespace afp {

PackedTensor quantize_tensor(const Backend& backend, const TensorInfo& info,
                             std::span<const std::byte> weights, std::span<const Encoding> candidates,
                             Effort effort) {
  if (candidates.empty()) throw UsageError("no Encoding was given for tensor '" + info.name + "'");
  if (weights.size() != info.bytes())
    throw InputError("its data has " + std::to_string(weights.size()) + " bytes; expected " +
                         std::to_string(info.bytes()) + " for " + std::string(dtype_name(info.dtype)) + " " +
                         to_string(info.shape),
                     "", info.name);
  TensorEncoder encoder(backend, info, {candidates.begin(), candidates.end()}, effort);
  std::vector<std::byte> narrowed;
  const std::byte* data = weights.data();
  if (info.dtype == DType::F64) {
    narrowed.resize(weights.size() / 2);
    narrow_f64(weights, narrowed);
    data = narrowed.data();
  }
  const WeightPiece whole = encoder.piece({0, encoder.grid().cells()}, data);
  if (encoder.needs_scan()) {
    encoder.scan(whole);
    encoder.finish_scan();
  }
  while (encoder.needs_scores()) encoder.score(whole);
  if (encoder.needs_choice()) {
    encoder.choose(whole);
    encoder.finish_choice();
  }
  PackedTensor packed;
  packed.source = info;
  packed.codes.resize(encoder.grid().code_bytes());
  encoder.encode(whole, packed.codes);
  encoder.finish();
  packed.encoding = encoder.encoding();
  packed.tensor_scale = encoder.tensor_scale();
  packed.scales.assign(encoder.scales().begin(), encoder.scales().end());
  packed.squared_error = encoder.squared_error();
  packed.signal = encoder.signal();
  return packed;
}

std::vector<std::byte> dequantize_tensor(const Backend& backend, const PackedTensor& packed, DType dtype) {
  const BlockGrid grid = packed.grid();
  if (packed.codes.size() != grid.code_bytes() || packed.scales.size() != grid.scale_count())
    throw InputError("its codes and scales have " + std::to_string(packed.codes.size()) + " and " +
                         std::to_string(packed.scales.size()) + " bytes; expected " +
                         std::to_string(grid.code_bytes()) + " and " + std::to_string(grid.scale_count()),
                     "", packed.source.name);
  std::vector<std::byte> weights(byte_size(dtype, packed.source.shape));
  backend.dequantize(grid, {0, grid.cells()}, {packed.encoding, packed.tensor_scale}, packed.scales,
                     packed.codes, dtype, weights);
  return weights;
}

}  // namespace afp
