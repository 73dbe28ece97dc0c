// Encoding: all that is needed to size, pack and unpack a tensor, and its text form
//
//     FORMAT[+FORMAT]/BLOCK[/SCALE]      E2M1/tensor  E3M2/row/e8m0  E2M1/32/e8m0  E1M2+E2M1/16/ue4m3
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "afp/format.hpp"

namespace afp {

// The weights that share one scale.
enum class BlockKind : std::uint8_t {
  tensor,  // all of them
  row,     // one output channel: the weights that share the first index
  small,   // `size` consecutive weights of a row; the last block of a row may be shorter
};

struct Block {
  BlockKind kind = BlockKind::small;
  int size = 16;  // of small blocks: 16, 32, 64 or 128; 0 for the other kinds

  friend bool operator==(const Block&, const Block&) = default;
};

// One byte a block; see codec.hpp for their values.
enum class ScaleKind : std::uint8_t {
  e8m0,   // 2^(byte - 127)
  ue4m3,  // an E4M3 magnitude times a float32 scale of the tensor; bit 7 chooses between two Formats
};

struct Encoding {
  Format format;
  std::optional<Format> alternative;  // the second Format of ue4m3, of equal N
  Block block;
  ScaleKind scale = ScaleKind::ue4m3;

  int bits() const { return format.bits(); }
  int format_count() const { return alternative ? 2 : 1; }
  // The lesser of its Formats' largest values.
  float smallest_max_value() const {
    const float first = format.max_value();
    return alternative && alternative->max_value() < first ? alternative->max_value() : first;
  }
  // The Format of a block with this scale byte.
  Format format_of(std::uint8_t scale_byte) const {
    return alternative && (scale_byte & 0x80) ? *alternative : format;
  }

  friend bool operator==(const Encoding&, const Encoding&) = default;
};

// "tensor", "row", "16", "32", "64", "128"; "e8m0", "ue4m3". Throw UsageError for anything else.
Block parse_block(std::string_view text);
ScaleKind parse_scale(std::string_view text);
std::string to_string(Block block);
std::string_view to_string(ScaleKind scale);

// Left-out SCALE: ue4m3 for small blocks, else e8m0. Throws UsageError that says what is wrong:
// two Formats of different N or the same twice, two Formats with e8m0, an unknown part.
Encoding parse_encoding(std::string_view text);
std::string to_string(const Encoding& encoding);  // always with the scale

// The Encoding that N bits get where nothing else is asked: for small blocks under ue4m3 the pair
// E1M(N-2) + E2M(N-3), the exponent width adapting to every block (N = 2: E1M0 alone).
// For e8m0 no single Format is best for every tensor: the E of least error is searched.
std::optional<Encoding> default_encoding(int bits, Block block, ScaleKind scale);
ScaleKind default_scale(Block block);

}  // namespace afp
