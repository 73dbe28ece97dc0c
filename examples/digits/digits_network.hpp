// The digits network: three 3x3 convolutions and two linear layers, 8x8 images to ten logits.
// All arithmetic is in double, so that outputs differ only by what the weights are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace digits {

inline constexpr std::size_t kSide = 8;  // pixels in a row and in a column of an image
inline constexpr std::uint8_t kLargestPixel = 16;
inline constexpr std::size_t kClasses = 10;

using Image = std::array<std::uint8_t, kSide * kSide>;  // row by row
using Logits = std::array<double, kClasses>;

// A linear layer [outputs, inputs], or a convolution [outputs, inputs, 3, 3] with zero padding 1.
struct Layer {
  std::vector<double> weight;
  std::vector<double> bias;  // [outputs]

  std::size_t outputs() const { return bias.size(); }
};

// ReLU follows every layer but the last, 2x2 max pooling the second and third convolution.
struct Network {
  Layer conv1, conv2, conv3, fc1, fc2;

  Logits logits(const Image& image) const;
};

std::size_t predicted_class(const Logits& logits);

// sum p log(p / q) in nats, p and q being the softmax of the two.
double kl_divergence(const Logits& reference, const Logits& logits);

}  // namespace digits
