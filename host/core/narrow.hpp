// F64 weights to F32: the one dtype that is converted before it is quantized.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace afp {

// Rounds to nearest even; a value beyond float32 becomes infinite, and is refused as such later.
inline void narrow_f64(std::span<const std::byte> from, std::span<std::byte> to) {
  for (std::size_t i = 0; i < from.size() / sizeof(double); ++i) {
    double wide;
    std::memcpy(&wide, from.data() + i * sizeof wide, sizeof wide);
    const float narrow = static_cast<float>(wide);
    std::memcpy(to.data() + i * sizeof narrow, &narrow, sizeof narrow);
  }
}

}  // namespace afp
