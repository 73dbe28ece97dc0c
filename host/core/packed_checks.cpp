// Bodies of packed_checks.hpp.
#include "host/core/packed_checks.hpp"

#include <algorithm>
#include <cstring>

#include "afp/codec.hpp"
#include "afp/packing.hpp"
#include "host/core/packed_reader.hpp"

namespace afp {
namespace {

std::uint64_t scale_offset(const PackedPiece& piece, std::uint64_t cell) {
  return piece.grid.scale_index(cell) - piece.grid.scale_index(piece.cells.first);
}
std::uint64_t code_offset(const PackedPiece& piece, std::uint64_t cell) {
  return piece.grid.code_begin(cell) - piece.grid.code_begin(piece.cells.first);
}

// Whether all bits of `bytes` from `first_bit` on are zero.
bool is_zero_from(std::span<const std::uint8_t> bytes, std::uint64_t first_bit) {
  const std::uint64_t byte = first_bit / 8;
  if (byte < bytes.size() && bytes[byte] >> (first_bit % 8) != 0) return false;
  return std::all_of(bytes.begin() + std::min<std::uint64_t>(byte + 1, bytes.size()), bytes.end(),
                     [](std::uint8_t b) { return b == 0; });
}

template <DType dtype>
float load(const std::byte* weights, std::uint64_t index) {
  if constexpr (dtype == DType::F32) {
    float value;
    std::memcpy(&value, weights + index * sizeof value, sizeof value);
    return value;
  } else {
    std::uint16_t bits;
    std::memcpy(&bits, weights + index * sizeof bits, sizeof bits);
    return dtype == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
  }
}

// Eight sums side by side: one alone would wait for its own last addition at every weight.
constexpr std::uint64_t kLanes = 8;

template <DType dtype>
StripSums sum_squares(const std::byte* source, const float* decoded, std::uint64_t count) {
  double error[kLanes] = {}, signal[kLanes] = {};
  const auto add = [&](std::uint64_t i, std::uint64_t lane) {
    const double weight = load<dtype>(source, i);
    const double difference = static_cast<double>(decoded[i]) - weight;
    error[lane] += difference * difference;
    signal[lane] += weight * weight;
  };
  std::uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::uint64_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  for (std::uint64_t lane = 0; i < count; ++i, ++lane) add(i, lane);
  StripSums sums;
  for (std::uint64_t lane = 0; lane < kLanes; ++lane) {
    sums.error += error[lane];
    sums.signal += signal[lane];
  }
  return sums;
}

}  // namespace

std::string find_bad_scale(const PackedPiece& piece) {
  const auto invalid = find_invalid_scale(piece.encoding, piece.scales);
  if (!invalid) return {};
  return "scale byte " + std::to_string(piece.scales[*invalid]) + " of block " +
         std::to_string(piece.grid.scale_index(piece.cells.first) + *invalid) + " is no scale";
}

std::string find_bad_padding(const PackedPiece& piece) {
  const BlockGrid& grid = piece.grid;
  const std::uint64_t end = piece.cells.first + piece.cells.count;
  // The last cell of every row that ends in the piece.
  std::uint64_t last = piece.cells.first / grid.cells_per_row * grid.cells_per_row + grid.cells_per_row - 1;
  for (; last < end; last += grid.cells_per_row) {
    const std::uint64_t begin = code_offset(piece, last);
    const std::uint64_t bytes = code_offset(piece, last + 1) - begin;
    const std::uint64_t used_bits = static_cast<std::uint64_t>(grid.cell_weights(last)) * grid.bits;
    if (!is_zero_from(piece.codes.subspan(begin, bytes), used_bits))
      return "codes behind the end of row " + std::to_string(last / grid.cells_per_row) + " are not zero";
  }
  return {};
}

std::string find_bad_zero_block(const PackedPiece& piece) {
  if (piece.encoding.scale != ScaleKind::ue4m3) return {};
  const std::uint32_t magnitude = piece.encoding.format.max_magnitude();
  for (std::uint64_t cell = piece.cells.first; cell < piece.cells.first + piece.cells.count; ++cell) {
    if ((piece.scales[scale_offset(piece, cell)] & 0x7F) != 0) continue;
    const std::uint8_t* codes = piece.codes.data() + code_offset(piece, cell);
    for (int i = 0; i < piece.grid.cell_weights(cell); ++i) {
      if ((unpack_code(codes, static_cast<std::uint64_t>(i), piece.grid.bits) & magnitude) != 0) {
        return "block " + std::to_string(piece.grid.scale_index(cell)) +
               " has the scale 0, but codes other than zero";
      }
    }
  }
  return {};
}

StripSums measure_error(const std::byte* source, DType dtype, const float* decoded, std::uint64_t count) {
  switch (dtype) {
    case DType::BF16:
      return sum_squares<DType::BF16>(source, decoded, count);
    case DType::F16:
      return sum_squares<DType::F16>(source, decoded, count);
    default:
      return sum_squares<DType::F32>(source, decoded, count);
  }
}

}  // namespace afp
