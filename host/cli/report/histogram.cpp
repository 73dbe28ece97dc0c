// Bodies of histogram.hpp.
#include "host/cli/report/histogram.hpp"

#include <algorithm>
#include <cstring>

#include "afp/codec.hpp"
#include "afp/packing.hpp"
#include "afp/quantize.hpp"

namespace afp::cli {
namespace {

constexpr std::uint64_t kMostWeights = 1 << 22;
constexpr std::size_t kBins = 121;  // odd: zero has a bin of its own

const PlanEntry* worst(const Plan& plan) {
  const PlanEntry* found = nullptr;
  for (const PlanEntry& entry : plan.tensors)
    if (entry.encoding && entry.squared_error &&
        (found == nullptr || *entry.squared_error > *found->squared_error))
      found = &entry;
  return found;
}

// The first rows of a tensor, or of its only row the beginning.
TensorInfo beginning(const TensorInfo& tensor) {
  const BlockGrid grid({BlockKind::tensor, 0}, kMaxBits, tensor.shape);
  if (grid.weights() <= kMostWeights) return tensor;
  if (grid.columns <= kMostWeights)
    return {tensor.name, tensor.dtype, {kMostWeights / grid.columns, grid.columns}};
  return {tensor.name, tensor.dtype, {1, kMostWeights}};
}

float weight_at(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t index) {
  const auto read = [&]<class T>(T value) {
    std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
    return value;
  };
  switch (dtype) {
    case DType::BF16:
      return bf16_to_float(read(std::uint16_t{}));
    case DType::F16:
      return f16_to_float(read(std::uint16_t{}));
    case DType::F64:
      return static_cast<float>(read(double{}));
    default:
      return read(float{});
  }
}

ReportHistogram::Codes codes_of(Format format) {
  ReportHistogram::Codes codes{format, {}};
  for (std::uint32_t magnitude = format.max_magnitude(); magnitude > 0; --magnitude)
    codes.points.push_back({-static_cast<double>(decode(format, magnitude)), 0});
  for (std::uint32_t magnitude = 0; magnitude <= format.max_magnitude(); ++magnitude)
    codes.points.push_back({static_cast<double>(decode(format, magnitude)), 0});
  return codes;
}

}  // namespace

std::optional<ReportHistogram> worst_tensor_histogram(const Checkpoint& input, const Plan& plan,
                                                      const RunOptions& run) {
  const PlanEntry* entry = worst(plan);
  if (entry == nullptr) return std::nullopt;
  const CheckpointTensor& tensor = *input.find(entry->name);
  const TensorInfo part = beginning(tensor);
  std::vector<std::byte> bytes(part.bytes());
  input.read(tensor, 0, bytes);
  const ChosenBackend backend = make_backend(run.backend, run.threads);
  const PackedTensor packed = quantize_tensor(*backend.backend, part, bytes, {{*entry->encoding}},
                                              plan.effort == "fast" ? Effort::fast : Effort::exact);

  ReportHistogram histogram;
  histogram.tensor = entry->name;
  histogram.encoding = *entry->encoding;
  histogram.codes.push_back(codes_of(entry->encoding->format));
  if (entry->encoding->alternative) histogram.codes.push_back(codes_of(*entry->encoding->alternative));

  const BlockGrid grid = packed.grid();
  const TensorCodec codec{packed.encoding, packed.tensor_scale};
  std::vector<float> scaled;
  scaled.reserve(grid.weights());
  for (std::uint64_t cell = 0; cell < grid.cells(); ++cell) {
    const std::uint8_t byte = packed.scales[grid.scale_index(cell)];
    const float scale = codec.scale_value(byte);
    const Format format = entry->encoding->format_of(byte);
    ReportHistogram::Codes& codes = histogram.codes[format == histogram.codes[0].format ? 0 : 1];
    const std::uint64_t first = grid.weight_begin(cell);
    for (std::uint64_t i = first; i < first + static_cast<std::uint64_t>(grid.cell_weights(cell)); ++i) {
      const float y = scale > 0.0f ? weight_at(bytes, part.dtype, i) * scale_reciprocal(scale) : 0.0f;
      const std::uint32_t magnitude = encode_magnitude(format, std::abs(y));
      const std::uint32_t zero = format.max_magnitude();  // its place among the points
      ++codes.points[y < 0.0f ? zero - magnitude : zero + magnitude].count;
      scaled.push_back(y);
    }
  }
  double reach = 0.0;
  for (const ReportHistogram::Codes& codes : histogram.codes)
    reach = std::max(reach, codes.points.back().value);
  for (const float y : scaled) reach = std::max(reach, static_cast<double>(std::abs(y)));
  histogram.counts.assign(kBins, 0);
  for (std::size_t b = 0; b <= kBins; ++b)
    histogram.edges.push_back(reach * (2.0 * static_cast<double>(b) / static_cast<double>(kBins) - 1.0));
  for (const float y : scaled) {
    const double place = (static_cast<double>(y) / reach + 1.0) / 2.0 * static_cast<double>(kBins);
    ++histogram.counts[std::min(kBins - 1, static_cast<std::size_t>(place))];
  }
  // Wide Formats crowd around zero.
  histogram.log_counts = entry->encoding->format.exponent_bits > 3;
  return histogram;
}

}  // namespace afp::cli
