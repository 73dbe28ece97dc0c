// AFP_HD marks the functions that define a number: the same source serves the CPU backend and
// the device kernels, so that both compute the same bits.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define AFP_HD __host__ __device__
#else
#define AFP_HD
#endif

namespace afp {

AFP_HD constexpr std::uint32_t float_bits(float value) {
  return __builtin_bit_cast(std::uint32_t, value);
}
AFP_HD constexpr float bits_float(std::uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}

// 2^exponent in float32, subnormals included; `exponent` in -149..127.
AFP_HD constexpr float exp2_int(int exponent) {
  return exponent >= -126 ? bits_float(static_cast<std::uint32_t>(exponent + 127) << 23)
                          : bits_float(std::uint32_t{1} << (exponent + 149));
}

// a + b * c where the product is exact: whether it is fused with the addition makes no difference.
AFP_HD inline float add_exact_product(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(b, c, a);
#else
  return a + b * c;
#endif
}

// 1 / x rounded, of an ordinary number, far from both ends of the range of exponents. On a device one step of
// Newton's without the branches for other numbers: right wherever 1 / x is not within 2^-40 of the middle
// between two float32, as that of no number with at most a dozen significant bits is.
AFP_HD inline float ordinary_reciprocal(float x) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return __fmaf_rn(r, __fmaf_rn(-x, r, 1.0f), r);
#else
  return 1.0f / x;
#endif
}

// Of numbers, not NaN: one instruction on a device, which a comparison and a choice are not.
AFP_HD inline float lesser(float a, float b) {
#if defined(__CUDA_ARCH__)
  return ::fminf(a, b);
#else
  return a < b ? a : b;
#endif
}
AFP_HD inline float greater(float a, float b) {
#if defined(__CUDA_ARCH__)
  return ::fmaxf(a, b);
#else
  return a < b ? b : a;
#endif
}

}  // namespace afp
