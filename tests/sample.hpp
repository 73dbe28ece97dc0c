// Reproducible test weights: a counter-based generator (splitmix64's finalizer of seed and index), so that
// a value depends on nothing but its seed and its place.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "afp/codec.hpp"
#include "afp/tensor.hpp"

namespace afp::sample {

// Instrumented builds are several times slower, emulated devices more than that: they take a part of the samples.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(AFP_TEST_EMULATED)
inline constexpr bool kSlow = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSlow = true;
#else
inline constexpr bool kSlow = false;
#endif
#else
inline constexpr bool kSlow = false;
#endif

inline std::uint64_t bits(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t x = seed * 0xD1342543DE82EF95u + (index + 1) * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// In (0, 1).
inline double uniform(std::uint64_t seed, std::uint64_t index) {
  return (static_cast<double>(bits(seed, index) >> 11) + 0.5) * 0x1p-53;
}

// N(0, 1) by Box and Muller's transform of a pair of uniforms.
inline double gaussian(std::uint64_t seed, std::uint64_t index) {
  const std::uint64_t pair = index & ~std::uint64_t{1};
  const double radius = std::sqrt(-2.0 * std::log(uniform(seed, pair)));
  const double angle = 2.0 * std::numbers::pi * uniform(seed, pair + 1);
  return radius * (index == pair ? std::cos(angle) : std::sin(angle));
}

// Weights of one of the checkpoint's types, and the same as float32.
struct Weights {
  DType dtype;
  std::vector<std::byte> bytes;
  std::vector<float> values;
};

inline Weights weights_of(DType dtype, std::span<const float> values) {
  Weights result{dtype, {}, {}};
  const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  result.bytes.resize(values.size() * width);
  result.values.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::byte* out = result.bytes.data() + i * width;
    if (dtype == DType::F32) {
      std::memcpy(out, &values[i], width);
      result.values.push_back(values[i]);
      continue;
    }
    const std::uint16_t half = dtype == DType::BF16 ? float_to_bf16(values[i]) : float_to_f16(values[i]);
    std::memcpy(out, &half, width);
    result.values.push_back(dtype == DType::BF16 ? bf16_to_float(half) : f16_to_float(half));
  }
  return result;
}

// The kinds of tensors that the tests quantize.
enum class Family { gaussian, heavy_tails, tiny, huge, spread, special };
inline constexpr Family kFamilies[] = {Family::gaussian, Family::heavy_tails, Family::tiny,
                                       Family::huge,     Family::spread,      Family::special};

inline std::string to_string(Family family) {
  switch (family) {
    case Family::gaussian:
      return "gaussian";
    case Family::heavy_tails:
      return "heavy_tails";
    case Family::tiny:
      return "tiny";
    case Family::huge:
      return "huge";
    case Family::spread:
      return "spread";
    case Family::special:
      return "special";
  }
  return "?";
}

// Runs of 16 weights: zeros of both signs, constants, one weight among zeros, powers of two, small integers.
inline float special_weight(std::uint64_t seed, std::uint64_t index) {
  const std::uint64_t run = index / 16;
  const float sign = bits(seed, index) % 2 == 0 ? 1.0f : -1.0f;
  const auto small = static_cast<float>(bits(seed + 1, run) % 7 + 1);
  switch (bits(seed, run) % 7) {
    case 0:
      return 0.0f;
    case 1:
      return -0.0f;
    case 2:
      return small / 4;
    case 3:
      return index % 16 == 5 ? sign * small : 0.0f * sign;
    case 4:
      return sign * std::ldexp(1.0f, static_cast<int>(bits(seed, index) % 6) - 4);
    case 5:
      return sign * static_cast<float>(bits(seed, index) % 9);
    default:
      return sign * 0.375f;
  }
}

inline Weights make(DType dtype, Family family, std::uint64_t count, std::uint64_t seed) {
  const bool f16 = dtype == DType::F16;
  std::vector<float> values;
  values.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const double g = gaussian(seed, i);
    switch (family) {
      case Family::gaussian:
        values.push_back(static_cast<float>(0.02 * g));
        break;
      case Family::heavy_tails:
        values.push_back(static_cast<float>(0.01 * g * g * g));
        break;
      case Family::tiny:
        values.push_back(static_cast<float>(std::ldexp(g, f16 ? -20 : -141)));
        break;
      case Family::huge:
        values.push_back(
            static_cast<float>(std::fmax(-1.0, std::fmin(1.0, g / 2)) * (f16 ? 65504.0 : 0x1.fffffep127)));
        break;
      case Family::spread: {  // runs of 16 from the whole range of magnitudes
        const int octaves = static_cast<int>(bits(seed, i / 16) % (f16 ? 24u : 140u));
        values.push_back(static_cast<float>(std::ldexp(g, (f16 ? 10 : 60) - octaves)));
        break;
      }
      case Family::special:
        values.push_back(special_weight(seed, i));
        break;
    }
  }
  return weights_of(dtype, values);
}

}  // namespace afp::sample
