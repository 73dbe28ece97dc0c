// Tensors and their given scales for tests of kernels: what a kernel makes of them is held to the CPU
// backend.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "afp/block_search.hpp"
#include "quantized.hpp"

namespace afp::kernel_cases {

inline constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
inline constexpr const char* kBlocks[] = {"tensor", "row", "16", "32", "64", "128"};
inline const Shape kShapes[] = {{3, 37}, {5, 16}, {2, 130}, {1, 301}, {7, 0},  {1},
                                {3, 32}, {4, 48}, {600, 1}, {64, 64}, {9, 96}, {2, 17, 5}};
inline const Shape kLargeShapes[] = {{3, 3000}, {17, 1024}, {1, 20000}, {33, 257}, {5, 2080}};

// Every Format with both kinds of scale, and pairs of all kinds.
inline std::vector<std::string> formats_and_scales() {
  std::vector<std::string> texts;
  for (int bits = kMinBits; bits <= kMaxBits; ++bits)
    for (const Format format : formats_of(bits)) {
      texts.push_back(to_string(format) + "/*/e8m0");
      texts.push_back(to_string(format) + "/*/ue4m3");
    }
  for (const char* const pair :
       {"E1M1+E2M0", "E1M2+E2M1", "E1M3+E2M2", "E1M4+E2M3", "E1M5+E2M4", "E1M6+E2M5", "E2M1+E1M2",
        "E3M0+E1M2", "E2M3+E4M1", "E4M1+E2M3", "E1M6+E7M0", "E5M2+E3M4", "E4M0+E3M1"})
    texts.push_back(std::string(pair) + "/*/ue4m3");
  return texts;
}

inline Encoding with_block(std::string text, const std::string& block) {
  return parse_encoding(text.replace(text.find('*'), 1, block));
}

// A byte for every block: mostly about what its largest magnitude asks for, some of any value.
inline std::vector<std::uint8_t> scales_for(const Tensor& tensor, std::uint64_t seed) {
  const TensorCodec codec = tensor.codec();
  const Encoding& encoding = tensor.encoding;
  std::vector<std::uint8_t> bytes;
  for (const std::span<const float> block : blocks_of(tensor)) {
    float absmax = 0.0f;
    for (const float w : block) absmax = std::max(absmax, std::fabs(w));
    const std::uint64_t random = sample::bits(seed, bytes.size());
    const bool any = random % 8 == 0 || absmax == 0.0f;
    const int step = static_cast<int>(random / 8 % 5) - 3;
    if (encoding.scale == ScaleKind::e8m0) {
      const int byte = any ? static_cast<int>(random / 64 % 255)
                           : e8m0_first_exponent(encoding.format, absmax) + kE8m0Bias + step;
      bytes.push_back(static_cast<std::uint8_t>(std::clamp(byte, 0, 254)));
    } else {
      const int byte =
          any ? static_cast<int>(random / 64 % 127)
              : static_cast<int>(ue4m3_first(encoding.format, absmax / codec.tensor_scale)) + 2 * step;
      const bool is_second = encoding.alternative && random >> 40 & 1;
      bytes.push_back(static_cast<std::uint8_t>(std::clamp(byte, 0, 126) | (is_second ? 0x80 : 0)));
    }
  }
  return bytes;
}

// Calls body(tensor, scales, number) for every Encoding, block and type, `families` of the families each, on
// shapes in turn.
template <class Body>
void for_each_tensor(int families, const Body& body) {
  std::uint64_t number = 0;
  for (const std::string& text : formats_and_scales())
    for (const char* const block : kBlocks)
      for (const DType dtype : kDTypes)
        for (int i = 0; i < families; ++i) {
          const std::uint64_t random = sample::bits(21, ++number);
          if (sample::kSlow && random / 7 % 10 != 0) continue;
          const sample::Family family =
              sample::kFamilies[(number + random % 2) % std::size(sample::kFamilies)];
          const std::uint64_t place = random / 64;
          const Shape& shape = random % 16 == 0 ? kLargeShapes[place % std::size(kLargeShapes)]
                                                : kShapes[place % std::size(kShapes)];
          const Tensor tensor{with_block(text, block), shape,
                              sample::make(dtype, family, element_count(shape), number)};
          SCOPED_TRACE(tensor.text() + " " + to_string(family));
          body(tensor, scales_for(tensor, number), number);
          if (testing::Test::HasFatalFailure() || testing::Test::HasNonfatalFailure()) return;
        }
}

}  // namespace afp::kernel_cases
