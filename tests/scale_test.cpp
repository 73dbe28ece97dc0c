// The scales a block may get: s0 and the top of the scan against a trial of every scale.
#include "afp/scale.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "reference.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using reference::Real;

// Magnitudes around everything that decides: largest value * scale exactly, one ulp beside it, subnormals,
// extremes.
std::vector<float> magnitudes(Format format) {
  std::vector<float> result = {0x1p-149f, 0x1.8p-148f, 0x1.fffffcp-127f, 0x1p-126f, 0x1.fffffep127f};
  for (int x = -149; x <= 127; ++x) {
    const float value = std::ldexp(format.max_value(), x);
    for (const float magnitude : {value, std::nextafter(value, 0.0f), std::nextafter(value, 3e38f)})
      if (magnitude > 0 && std::isfinite(magnitude)) result.push_back(magnitude);
  }
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto bits = static_cast<std::uint32_t>(sample::bits(7, i) % 0x7F800000u);
    if (bits > 0) result.push_back(bits_float(bits));
  }
  return result;
}

TEST(E8m0, FirstExponentIsTheSmallestThatDoesNotClip) {
  for (const Format format : reference::all_formats())
    for (const float magnitude : magnitudes(format)) {
      int expected = max_scale_exponent(format);
      while (expected > min_scale_exponent(format) &&
             reference::value(format, format.max_magnitude()) * std::ldexp(Real{1}, expected - 1) >=
                 magnitude)
        --expected;
      ASSERT_EQ(e8m0_first_exponent(format, magnitude), expected) << to_string(format) << " " << magnitude;
    }
}

TEST(Ue4m3, FirstByteIsTheSmallestThatDoesNotClip) {
  for (const Format format : reference::all_formats()) {
    const Real largest = reference::value(format, format.max_magnitude());
    std::vector<float> cases = {0x1p-149f, 0x1p-126f, 3e38f};
    for (std::uint32_t byte = 1; byte <= kUe4m3Max; ++byte) {
      const auto value = static_cast<float>(largest * reference::scale_value(ScaleKind::ue4m3, byte, 1.0f));
      cases.insert(cases.end(), {value, std::nextafter(value, 0.0f), std::nextafter(value, 3e38f)});
    }
    for (const float magnitude : cases) {
      std::uint32_t expected = 1;
      while (expected < 126 && largest * reference::scale_value(ScaleKind::ue4m3, expected, 1.0f) < magnitude)
        ++expected;
      ASSERT_EQ(ue4m3_first(format, magnitude), expected) << to_string(format) << " " << magnitude;
    }
  }
}

// Twice the first and more: only where a byte of half the value exists is there nothing to find.
TEST(Ue4m3, TheScanBeginsBeforeTheScalesThatHaveAHalfFromTheFirstOn) {
  for (std::uint32_t first = 1; first <= kUe4m3Max; ++first) {
    const auto has_half = [&](std::uint32_t byte) {
      for (std::uint32_t half = first; half < byte; ++half)
        if (2 * ue4m3_value(half) == ue4m3_value(byte)) return true;
      return false;
    };
    std::uint32_t expected = kUe4m3Max;
    while (has_half(expected)) --expected;
    EXPECT_EQ(ue4m3_scan_top(first), expected) << first;
  }
}

TEST(Ue4m3, TensorScaleIsTheSmallestPowerThatLeavesRoomForTwiceS0) {
  for (const Format format : reference::all_formats())
    for (const float magnitude : magnitudes(format)) {
      int expected = kMinTensorScaleExponent;
      const Real s0 = static_cast<Real>(magnitude) / reference::value(format, format.max_magnitude());
      while (std::ldexp(Real{224}, expected) < s0) ++expected;
      ASSERT_EQ(ue4m3_tensor_scale(format.max_value(), magnitude), std::ldexp(Real{1}, expected))
          << to_string(format) << " " << magnitude;
    }
  EXPECT_EQ(ue4m3_tensor_scale(6.0f, 0.0f), 1.0f);
}

TEST(Ue4m3, EveryScaleOfAScanIsFiniteAndItsReciprocalToo) {
  for (const Format format : reference::all_formats())
    for (const float absmax : magnitudes(format)) {
      const float tensor_scale = ue4m3_tensor_scale(format.max_value(), absmax);
      const std::uint32_t top = ue4m3_scan_top(ue4m3_first(format, absmax / tensor_scale));
      for (const std::uint32_t byte : {1u, top}) {
        const float scale = ue4m3_value(byte) * tensor_scale, r = scale_reciprocal(scale);
        ASSERT_TRUE(scale > 0 && std::isfinite(scale) && r > 0 && std::isfinite(r))
            << to_string(format) << " " << absmax << " " << byte;
      }
    }
}

}  // namespace
}  // namespace afp
