// The scalar codec, one weight at a time: the definition that vector code is tested against. GB/s count
// float32 weights; the ceiling is copying as many bytes.
#include <cstdint>
#include <string>
#include <vector>

#include "afp/codec.hpp"
#include "harness.hpp"
#include "weights.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kWeights = std::uint64_t{1} << 20;
constexpr std::uint64_t kSeed = 7;
constexpr float kReciprocal = 64.0f;  // of the scale: weights of 0.02 land among a Format's middle values

const std::vector<float>& scaled_weights() {
  static const std::vector<float> weights = [] {
    std::vector<float> values;
    values.reserve(kWeights);
    for (const std::uint16_t bits : make_rows(Tails::gaussian, kSeed, 1, kWeights))
      values.push_back(bf16_to_float(bits) * kReciprocal);
    return values;
  }();
  return weights;
}

void report_floats(benchmark::State& state, double seconds) {
  const auto bytes = std::as_bytes(std::span(scaled_weights()));
  report(state, {seconds, bytes.size(), kWeights, copy_ceiling(bytes, 1)});
}

void add_format(Format format) {
  add("encode/" + to_string(format), [=](benchmark::State& state) {
    const std::vector<float>& weights = scaled_weights();
    std::vector<std::uint8_t> codes(kWeights);
    const double seconds = best_seconds(state, 1, [&] {
      for (std::size_t i = 0; i < kWeights; ++i)
        codes[i] = static_cast<std::uint8_t>(encode(format, weights[i]));
    });
    report_floats(state, seconds);
  });
  add("decode/" + to_string(format), [=](benchmark::State& state) {
    std::vector<std::uint8_t> codes;
    for (const float weight : scaled_weights())
      codes.push_back(static_cast<std::uint8_t>(encode(format, weight)));
    std::vector<float> weights(kWeights);
    const double seconds = best_seconds(state, 1, [&] {
      for (std::size_t i = 0; i < kWeights; ++i) weights[i] = decode(format, codes[i]);
    });
    report_floats(state, seconds);
  });
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  for (const int bits : {2, 3, 4, 6, 8})
    for (const afp::Format format : afp::formats_of(bits)) afp::bench::add_format(format);
  return afp::bench::run(argc, argv);
}
