// Kernels of codes on a device: encoding under given scales and dequantizing, in device memory. GB/s count
// what is read and written: weights, codes and scales. Every result is compared with the CPU backend's before
// it is timed.
#include <cstdint>
#include <string>
#include <vector>

#include "device_sample.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/encode.hpp"
#include "sample_tensor.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kRepeats = 8;  // of the sample's rows: 134 M weights
constexpr int kSets = 2;               // of buffers, each several times a second-level cache

// kRows x `columns` weights of the sample, in any type, and what the CPU makes of them.
struct CodeCase {
  CodeCase(const std::string& text, DType type, std::uint64_t columns)
      : encoding(parse_encoding(text)),
        dtype(type),
        sample(encoding.block, encoding.bits(), {kRows, columns}),
        grid(encoding.block, encoding.bits(), {kRows * kRepeats, columns}),
        codec{encoding, 1.0f},
        weights(weights_as(type, sample_bytes().first(sample.weights() * sizeof(std::uint16_t)))),
        scales(sample.scale_count()),
        codes(sample.code_bytes()) {
    const auto cpu = make_cpu_backend();
    const WeightPiece piece{sample, {0, sample.cells()}, dtype, weights.data()};
    if (encoding.scale == ScaleKind::ue4m3)
      codec.tensor_scale = ue4m3_tensor_scale(encoding.smallest_max_value(), cpu->extent(piece).absmax);
    if (encoding.block.kind == BlockKind::tensor) {
      scales[0] = static_cast<std::uint8_t>(kE8m0Bias - 7);
      cpu->encode(piece, codec, scales, codes);
    } else {
      std::vector<StripSums> sums(strip_count(sample, piece.cells));
      cpu->quantize(piece, codec, Effort::fast, scales, sums, codes);
    }
  }

  // Of a tensor block the one byte there is.
  DeviceBytes device_scales() const {
    return encoding.block.kind == BlockKind::tensor ? DeviceBytes(bytes_of(scales))
                                                    : repeated(bytes_of(scales), kRepeats);
  }
  CellRange cells() const { return {0, grid.cells()}; }
  std::uint64_t bytes_moved() const {
    return kRepeats * (weights.size() + codes.size()) + grid.scale_count();
  }

  Encoding encoding;
  DType dtype;
  BlockGrid sample, grid;
  TensorCodec codec;
  std::vector<std::byte> weights;
  std::vector<std::uint8_t> scales, codes;
};

std::string case_name(const char* verb, const std::string& text, DType dtype, std::uint64_t columns) {
  const std::string shape = columns == kColumns ? "" : "/columns:" + std::to_string(columns);
  return std::string(verb) + "/" + text + "/" + std::string(dtype_name(dtype)) + shape;
}

void add_encode(const std::string& text, DType dtype, std::uint64_t columns) {
  add_device(case_name("encode", text, dtype, columns), [=](benchmark::State& state) {
    const CodeCase tensor(text, dtype, columns);
    const DeviceBytes scales = tensor.device_scales();
    std::vector<DeviceBytes> weights, codes;
    for (int i = 0; i < kSets; ++i) {
      weights.push_back(repeated(tensor.weights, kRepeats));
      codes.emplace_back(tensor.grid.code_bytes());
    }
    const auto launch = [&](int i) {
      const auto set = static_cast<std::size_t>(i);
      const kernels::Encode task{{tensor.grid, tensor.cells(), dtype, weights[set].data()},
                                 block_codec(tensor.codec),
                                 nullptr,
                                 reinterpret_cast<const std::uint8_t*>(scales.data()),
                                 reinterpret_cast<std::uint8_t*>(codes[set].data())};
      return kernels::encode(task, nullptr);
    };
    for (int i = 0; i < kSets; ++i) require(launch(i), "encoding");
    for (const DeviceBytes& found : codes) require_repeats(found, bytes_of(tensor.codes), kRepeats, "codes");
    report_device(state, median_seconds(state, kSets, launch), tensor.bytes_moved(), tensor.grid.weights());
  });
}

void add_dequantize(const std::string& text, DType dtype, std::uint64_t columns) {
  add_device(case_name("dequantize", text, dtype, columns), [=](benchmark::State& state) {
    const CodeCase tensor(text, dtype, columns);
    std::vector<std::byte> expected(tensor.weights.size());
    make_cpu_backend()->dequantize(tensor.sample, {0, tensor.sample.cells()}, tensor.codec, tensor.scales,
                                   tensor.codes, dtype, expected);
    const DeviceBytes scales = tensor.device_scales();
    std::vector<DeviceBytes> codes, weights;
    for (int i = 0; i < kSets; ++i) {
      codes.push_back(repeated(bytes_of(tensor.codes), kRepeats));
      weights.emplace_back(expected.size() * kRepeats);
    }
    const auto launch = [&](int i) {
      const auto set = static_cast<std::size_t>(i);
      const kernels::Dequantize task{tensor.grid,
                                     tensor.cells(),
                                     block_codec(tensor.codec),
                                     nullptr,
                                     reinterpret_cast<const std::uint8_t*>(scales.data()),
                                     reinterpret_cast<const std::uint8_t*>(codes[set].data()),
                                     dtype,
                                     weights[set].data()};
      return kernels::dequantize(task, nullptr);
    };
    for (int i = 0; i < kSets; ++i) require(launch(i), "dequantizing");
    for (const DeviceBytes& found : weights) require_repeats(found, expected, kRepeats, "weights");
    report_device(state, median_seconds(state, kSets, launch), tensor.bytes_moved(), tensor.grid.weights());
  });
}

void add_all() {
  constexpr std::uint64_t kUneven = 4093;  // rows that end and begin anywhere
  for (const auto add_case : {add_encode, add_dequantize}) {
    for (const char* text :
         {"E1M0/32/e8m0", "E2M0/32/e8m0", "E2M1/32/e8m0", "E2M2/32/e8m0", "E2M3/32/e8m0", "E2M4/32/e8m0",
          "E2M5/32/e8m0", "E1M1+E2M0/16/ue4m3", "E1M2+E2M1/16/ue4m3", "E1M3+E2M2/16/ue4m3",
          "E1M6+E2M5/16/ue4m3", "E2M1/16/ue4m3", "E2M1/128/e8m0", "E2M1/row/e8m0", "E2M1/tensor/e8m0"})
      add_case(text, DType::BF16, kColumns);
    for (const DType dtype : {DType::F16, DType::F32})
      for (const char* text : {"E2M1/32/e8m0", "E4M3/32/e8m0"}) add_case(text, dtype, kColumns);
    for (const char* text : {"E2M1/32/e8m0", "E2M1/row/e8m0"}) add_case(text, DType::BF16, kUneven);
  }
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  return afp::bench::run_on_device(argc, argv, afp::bench::add_all);
}
