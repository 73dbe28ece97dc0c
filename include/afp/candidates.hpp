// CandidateSpace: the Encodings that a search may choose from, as the product of bits, exponent bits, blocks
// and scales, and its text form
//
//     N=3..8,E=1..5,block=16|32|row,scale=e8m0|ue4m3,keep
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "afp/encoding.hpp"

namespace afp {

struct CandidateSpace {
  std::vector<int> bits = {2, 3, 4, 5, 6, 7, 8};  // N
  std::vector<int> exponent_bits;  // E; empty: every E under e8m0, the pair E1 + E2 under ue4m3
  std::vector<Block> blocks = {Block{}};
  std::vector<ScaleKind> scales;  // empty: the default of each block
  bool keep = false;              // a tensor may also stay as it is

  // In the order of blocks, scales, bits, E. Throws UsageError when there is none.
  std::vector<Encoding> encodings() const;
};

// Parts are separated by commas; each may be left out and then is as in `defaults`. Values are single, lists
// with '|', or for N and E ranges with "..". Throws UsageError that names what is wrong.
CandidateSpace parse_candidates(std::string_view text, const CandidateSpace& defaults = {});
std::string to_string(const CandidateSpace& space);

}  // namespace afp
