// Conversions between float32 and the 16-bit types by the device's own instructions: exact, or rounded to
// nearest even. The functions of the same purpose in afp/codec.hpp are the definition.
#pragma once

#include "afp/codec.hpp"
#include "kernels/device.hpp"

namespace afp::kernels {

// f16_to_float.
__device__ inline float half_to_float(std::uint16_t bits) {
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
#else
  return f16_to_float(bits);
#endif
}

// float_to_f16 and float_to_bf16 of finite values that are no larger than the type's largest; `low` comes
// into the low half.
__device__ inline std::uint32_t floats_to_halves(float low, float high) {
#if defined(__CUDA_ARCH__)
  std::uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  const auto convert = [](float value) -> std::uint32_t {
    return float_to_f16(value) + (fabsf(value) >= 65520.0f);
  };
  return convert(low) | convert(high) << 16;
#endif
}
__device__ inline std::uint32_t floats_to_bf16s(float low, float high) {
#if defined(__CUDA_ARCH__)
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  const auto convert = [](float value) -> std::uint32_t {
    return float_to_bf16(value) + (fabsf(value) >= 0x1.ffp127f);
  };
  return convert(low) | convert(high) << 16;
#endif
}

}  // namespace afp::kernels
