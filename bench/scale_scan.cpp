// Bodies of scale_scan.hpp.
#include "scale_scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "afp/codec.hpp"
#include "afp/scale.hpp"
#include "sample_tensor.hpp"

namespace afp::bench {
namespace {

struct ScaleError {
  double total = 0.0;
  double clipped = 0.0;  // the part of the weights beyond the largest value
};

ScaleError error_of(Format format, float scale, const std::vector<float>& magnitudes) {
  const float reciprocal = scale_reciprocal(scale);
  ScaleError error;
  for (const float magnitude : magnitudes) {
    const float y = magnitude * reciprocal;
    const double difference = static_cast<double>(magnitude) -
                              static_cast<double>(decode(format, encode_magnitude(format, y)) * scale);
    error.total += difference * difference;
    if (y > format.max_value()) error.clipped += difference * difference;
  }
  return error;
}

// Scales that one scan looks at: scale_at(n) for n = top, top - 1, ... lowest, until the clipped weights
// alone cost more than the best so far.
template <class ScaleAt>
int visited(Format format, const std::vector<float>& magnitudes, int top, int lowest,
            const ScaleAt& scale_at) {
  double best = std::numeric_limits<double>::infinity();
  int count = 0;
  for (int n = top; n >= lowest; --n, ++count) {
    const ScaleError error = error_of(format, scale_at(n), magnitudes);
    if (error.clipped > best) break;
    best = std::min(best, error.total);
  }
  return count;
}

int scan_length(Format format, const TensorCodec& codec, const std::vector<float>& magnitudes, float absmax) {
  if (codec.encoding.scale == ScaleKind::e8m0) {
    return visited(format, magnitudes, e8m0_first_exponent(format, absmax), min_scale_exponent(format),
                   [](int x) { return exp2_int(x); });
  }
  const std::uint32_t first = ue4m3_first(format, absmax / codec.tensor_scale);
  return visited(format, magnitudes, static_cast<int>(ue4m3_scan_top(first)), 1, [&](int byte) {
    return ue4m3_value(static_cast<std::uint32_t>(byte)) * codec.tensor_scale;
  });
}

}  // namespace

std::uint64_t count_weight_candidates(const WeightPiece& piece, const TensorCodec& codec) {
  const BlockGrid& grid = piece.grid;
  const std::uint64_t origin = grid.weight_begin(piece.cells.first);
  std::uint64_t candidates = 0;
  std::vector<float> magnitudes;
  for (std::uint64_t cell = piece.cells.first; cell < piece.cells.first + piece.cells.count; ++cell) {
    magnitudes.resize(static_cast<std::size_t>(grid.cell_weights(cell)));
    const std::byte* weights = piece.weights + (grid.weight_begin(cell) - origin) * sizeof(std::uint16_t);
    for (std::size_t i = 0; i < magnitudes.size(); ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, weights + i * sizeof bits, sizeof bits);
      magnitudes[i] = std::abs(bf16_to_float(bits));
    }
    const float absmax = *std::max_element(magnitudes.begin(), magnitudes.end());
    if (absmax == 0.0f) continue;
    int scales = scan_length(codec.encoding.format, codec, magnitudes, absmax);
    if (codec.encoding.alternative)
      scales += scan_length(*codec.encoding.alternative, codec, magnitudes, absmax);
    candidates += static_cast<std::uint64_t>(scales) * magnitudes.size();
  }
  return candidates;
}

double scales_per_weight(const TensorCodec& codec) {
  static std::map<std::string, double> known;
  const auto [entry, is_new] = known.try_emplace(to_string(codec.encoding));
  if (is_new) {
    const EncodedSample sample(codec.encoding, kRows / 32);
    entry->second = static_cast<double>(count_weight_candidates(sample.piece(), codec)) /
                    static_cast<double>(sample.grid.weights());
  }
  return entry->second;
}

}  // namespace afp::bench
