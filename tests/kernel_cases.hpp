// What the tests of kernels that work on cells have in common: the tensors they take, and pieces in device
// memory.
#pragma once

#include <cstring>
#include <cuda_emulator.hpp>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "device_array.hpp"
#include "encoding_cases.hpp"
#include "kernels/device_piece.hpp"
#include "near_middles.hpp"
#include "reference.hpp"
#include "sample.hpp"

namespace afp {

inline constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

// The order of threads, blocks and streams as long as this lives.
class EmulatorSeed {
 public:
  explicit EmulatorSeed(std::uint64_t seed) { cuda_emulator::config().seed = seed; }
  ~EmulatorSeed() { cuda_emulator::config().seed = 0; }
  EmulatorSeed(const EmulatorSeed&) = delete;
  EmulatorSeed& operator=(const EmulatorSeed&) = delete;
};

// Shapes whose blocks are cells: of rows those of at most 128 weights.
inline const Shape& cell_shape(const std::string& block, std::uint64_t number) {
  static const Shape rows[] = {{1},      {37, 3}, {16, 16},   {9, 17},   {41, 29}, {13, 33},
                               {21, 64}, {9, 65}, {3, 7, 11}, {33, 128}, {17, 127}};
  static const Shape any[] = {{3, 37},  {5, 16},  {2, 130},  {7, 3, 11},
                              {1, 301}, {3, 640}, {17, 129}, {2, 1152}};
  const std::uint64_t which = sample::bits(9, number);
  return block == "row" ? rows[which % std::size(rows)] : any[which % std::size(any)];
}

// A piece whose weights lie in device memory, one weight off any wide alignment if `unaligned`.
class DeviceWeights {
 public:
  DeviceWeights(const WeightPiece& piece, bool unaligned)
      : piece_{piece.grid, piece.cells, piece.dtype, nullptr},
        bytes_(copy_of(piece, unaligned ? static_cast<std::size_t>(kernels::weight_bytes(piece.dtype)) : 0)) {
    piece_.weights = bytes_.data() + (unaligned ? kernels::weight_bytes(piece.dtype) : 0);
  }
  const kernels::DevicePiece& piece() const { return piece_; }

 private:
  static std::vector<std::byte> copy_of(const WeightPiece& piece, std::size_t shift) {
    const kernels::DevicePiece device{piece.grid, piece.cells, piece.dtype, piece.weights};
    const std::size_t size =
        device.weight_count() * static_cast<std::size_t>(kernels::weight_bytes(piece.dtype));
    std::vector<std::byte> bytes(shift + size, std::byte{0xFF});
    if (size != 0) std::memcpy(bytes.data() + shift, piece.weights, size);
    return bytes;
  }

  kernels::DevicePiece piece_;
  DeviceArray<std::byte> bytes_;
};

template <class T>
void copy_back(const DeviceArray<T>& from, std::span<T> to) {
  const std::vector<T> values = from.read();
  if (!values.empty()) std::memcpy(to.data(), values.data(), values.size() * sizeof(T));
}

}  // namespace afp
