// Weights that lie where the last bits of a rounding decide.
#pragma once

#include <cmath>
#include <cstdlib>
#include <vector>

#include "afp/encoding.hpp"
#include "reference.hpp"
#include "sample.hpp"

namespace afp {

// Blocks of `size` weights whose best scale is known, on whose grid all weights but one lie: that one is
// within a few float32 of the middle between two values, where the rounding of w * r decides. With both
// errors nearly the same, only their last bits tell which way it went.
inline sample::Weights weights_near_middles(Format format, ScaleKind kind, std::size_t size,
                                            std::uint64_t blocks) {
  const reference::Grid grid(format);
  std::vector<float> values;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    const std::uint64_t bits = sample::bits(17, block);
    const reference::Real fraction =
        kind == ScaleKind::e8m0 ? 1 : 1 + static_cast<reference::Real>(bits % 8) / 8;
    const reference::Real scale = std::ldexp(fraction, -static_cast<int>(bits / 8 % 4));
    values.push_back(static_cast<float>(grid.largest() * scale));
    const auto code = static_cast<std::uint32_t>(bits / 64 % (grid.size() - 1));
    auto middle = static_cast<float>((grid[code] + grid[code + 1]) / 2 * scale);
    const int steps = static_cast<int>(bits / 65536 % 5) - 2;
    for (int i = 0; i < std::abs(steps); ++i) middle = std::nextafter(middle, steps < 0 ? 0.0f : INFINITY);
    values.push_back(middle);
    while (values.size() % size != 0) {
      const auto any = static_cast<std::uint32_t>(sample::bits(block, values.size()) % grid.size());
      values.push_back(static_cast<float>(grid[any] * scale));
    }
  }
  return sample::weights_of(DType::F32, values);
}

}  // namespace afp
