// What a backend is given and what it gives back: pieces of tensors, the codec of a tensor, and the sums it
// takes. Host/device neutral where a kernel needs it too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "afp/block_grid.hpp"
#include "afp/codec.hpp"
#include "afp/encoding.hpp"
#include "afp/hd.hpp"
#include "afp/tensor.hpp"

namespace afp {

// How hard to look for a block's scale.
enum class Effort : std::uint8_t {
  exact,  // the scale (and Format) of least squared error, proven by an exhaustive scan
  fast,   // ue4m3: a few scales around the best estimate; e8m0 is always exact
};

// Consecutive cells of a tensor, in memory as in a file. `weights` points at the first weight of
// the first cell and may have any alignment; dtype is BF16, F16 or F32. Ranges begin at a strip and
// end at one, or at the tensor's end.
struct WeightPiece {
  const BlockGrid& grid;
  CellRange cells;
  DType dtype;
  const std::byte* weights;
};

// What quantizing and dequantizing need to know of a tensor beside its weights.
struct TensorCodec {
  Encoding encoding;
  float tensor_scale = 1.0f;  // ue4m3: a power of two where this engine chose it; e8m0: 1

  // The value of a block's scale byte; exact, and as float32, which is the same where tensor_scale is a power of
  // two that this engine chose.
  double exact_scale(std::uint8_t byte) const {
    return encoding.scale == ScaleKind::e8m0
               ? static_cast<double>(e8m0_value(byte))
               : static_cast<double>(ue4m3_value(byte & 0x7Fu)) * static_cast<double>(tensor_scale);
  }
  float scale_value(std::uint8_t byte) const { return static_cast<float>(exact_scale(byte)); }
};

struct Extent {
  float absmax = 0.0f;  // of the finite weights
  std::uint64_t zeros = 0;
  std::uint64_t nonfinite = 0;  // NaN and infinities
  // The largest finite weight, and the smallest magnitude of one; as here where there is none.
  float largest = -std::numeric_limits<float>::infinity();
  float smallest_magnitude = std::numeric_limits<float>::infinity();

  void merge(const Extent& other) {
    absmax = absmax < other.absmax ? other.absmax : absmax;
    zeros += other.zeros;
    nonfinite += other.nonfinite;
    largest = largest < other.largest ? other.largest : largest;
    smallest_magnitude =
        other.smallest_magnitude < smallest_magnitude ? other.smallest_magnitude : smallest_magnitude;
  }
};

// One value a strip of the piece: the squared error in the units of the weights, and the sum of
// the squared weights, each in the fixed order described in block_grid.hpp.
struct StripSums {
  double error = 0.0;
  double signal = 0.0;
};

// What a scale costs a strip of a long block: the squared error, and the part of it that clipped
// weights cause. In units of the normalizer, see LongBlock.
struct ScaleScore {
  double error = 0.0;
  double clipped = 0.0;
};

// Blocks are measured in units of a power of two, so that squares neither underflow nor overflow: 2^e with
// the block's largest magnitude in [1, 2) of them. But a block far smaller than the smallest scale it can get
// is measured as if it were of size 2^lowest, 2^48 below that scale, which then still is an ordinary float32,
// and no subnormal.
AFP_HD constexpr int lowest_block_exponent(ScaleKind scale, float tensor_scale) {
  constexpr int kReach = 48;
  const int smallest_scale =
      scale == ScaleKind::e8m0 ? -kE8m0Bias : static_cast<int>(float_bits(tensor_scale) >> 23) - 127 - 9;
  return smallest_scale - kReach < -126 ? -126 : smallest_scale - kReach;
}
inline int lowest_block_exponent(const TensorCodec& codec) {
  return lowest_block_exponent(codec.encoding.scale, codec.tensor_scale);
}
AFP_HD constexpr int block_exponent(int lowest, float absmax) {
  const int own = static_cast<int>(float_bits(absmax) >> 23) - 127;
  const int raised = own < lowest ? lowest : own;
  return raised < 126 ? raised : 126;  // the normalizer 2^-exponent is a normal number
}

// A block of more weights than one cell, whose scales are scored rather than chosen in one step:
// its largest magnitude, from which the normalizer 2^-exponent of its weights follows.
struct LongBlock {
  LongBlock(const TensorCodec& codec, float absmax);

  float absmax;
  int exponent;
  // The scale with this byte, multiplied by the normalizer.
  float normalized_scale(const TensorCodec& codec, std::uint8_t byte) const;
};

}  // namespace afp
