// The digits network's arithmetic in plain loops.
#include "digits_network.hpp"

#include <algorithm>
#include <cmath>

namespace digits {
namespace {

using Values = std::vector<double>;  // [channels, side, side]

Values convolve(const Layer& layer, const Values& input, std::size_t side) {
  const std::size_t pixels = side * side;
  const std::size_t channels = input.size() / pixels;
  Values output(layer.outputs() * pixels);
  for (std::size_t o = 0; o < layer.outputs(); ++o) {
    double* out = output.data() + o * pixels;
    std::fill_n(out, pixels, layer.bias[o]);
    for (std::size_t tap = 0; tap < channels * 9; ++tap) {
      const double weight = layer.weight[o * channels * 9 + tap];
      const double* in = input.data() + tap / 9 * pixels;
      const std::size_t down = tap % 9 / 3;  // the tap reads pixel (y + down - 1, x + right - 1)
      const std::size_t right = tap % 3;
      for (std::size_t y = down == 0; y < side - (down == 2); ++y) {
        for (std::size_t x = right == 0; x < side - (right == 2); ++x) {
          out[y * side + x] += weight * in[(y + down - 1) * side + x + right - 1];
        }
      }
    }
  }
  return output;
}

Values multiply(const Layer& layer, const Values& input) {
  Values output = layer.bias;
  for (std::size_t o = 0; o < output.size(); ++o) {
    const double* weights = layer.weight.data() + o * input.size();
    for (std::size_t i = 0; i < input.size(); ++i) output[o] += weights[i] * input[i];
  }
  return output;
}

Values relu(Values values) {
  for (double& value : values) value = std::max(value, 0.0);
  return values;
}

// Keeps the largest of every 2x2 pixels.
Values pool(const Values& input, std::size_t side) {
  Values output(input.size() / 4);
  for (std::size_t i = 0; i < output.size(); ++i) {
    const std::size_t row = i / (side / 2);  // counted through all channels: side is even
    const std::size_t column = i % (side / 2);
    const double* corner = input.data() + row * 2 * side + column * 2;
    output[i] = std::max({corner[0], corner[1], corner[side], corner[side + 1]});
  }
  return output;
}

Logits log_softmax(const Logits& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - largest);
  Logits result = logits;
  for (double& value : result) value -= largest + std::log(sum);
  return result;
}

}  // namespace

Logits Network::logits(const Image& image) const {
  Values values(image.begin(), image.end());
  for (double& value : values) value /= kLargestPixel;
  values = relu(convolve(conv1, values, kSide));
  values = pool(relu(convolve(conv2, values, kSide)), kSide);
  values = pool(relu(convolve(conv3, values, kSide / 2)), kSide / 2);
  values = multiply(fc2, relu(multiply(fc1, values)));
  Logits result;
  std::copy_n(values.begin(), kClasses, result.begin());
  return result;
}

std::size_t predicted_class(const Logits& logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double kl_divergence(const Logits& reference, const Logits& logits) {
  const Logits log_p = log_softmax(reference);
  const Logits log_q = log_softmax(logits);
  double sum = 0;
  for (std::size_t i = 0; i < kClasses; ++i) sum += std::exp(log_p[i]) * (log_p[i] - log_q[i]);
  return sum;
}

}  // namespace digits
