// Dequantizing in memory. GB/s count the weights written; the ceiling is zeroing as many bytes.
#include <cstddef>
#include <string>
#include <vector>

#include "harness.hpp"
#include "sample_tensor.hpp"

namespace afp::bench {
namespace {

void add_dequantize(const std::string& text, DType dtype, int threads) {
  const std::string name =
      "dequantize/" + text + "/" + std::string(dtype_name(dtype)) + "/threads:" + std::to_string(threads);
  add(name, [=](benchmark::State& state) {
    const auto backend = make_cpu_backend(threads);
    EncodedSample sample(parse_encoding(text));
    sample.set_tensor_scale(*backend);
    if (sample.grid.block.kind == BlockKind::tensor) {
      sample.scales[0] = static_cast<std::uint8_t>(kE8m0Bias - 7);
      backend->encode(sample.piece(), sample.codec, sample.scales, sample.codes);
    } else {
      backend->quantize(sample.piece(), sample.codec, Effort::fast, sample.scales, sample.sums, sample.codes);
    }
    std::vector<std::byte> weights(byte_size(dtype, {kRows, kColumns}));
    const double seconds = best_seconds(state, threads, [&] {
      backend->dequantize(sample.grid, sample.cells(), sample.codec, sample.scales, sample.codes, dtype,
                          weights);
    });
    report(state, {seconds, weights.size(), kWeights, write_ceiling(weights, threads)});
  });
}

void add_all() {
  for (const int threads : {1, 2})
    for (const char* text : {"E2M1/32/e8m0", "E1M2+E2M1/16/ue4m3"})
      for (const DType dtype : {DType::BF16, DType::F16, DType::F32}) add_dequantize(text, dtype, threads);
  for (const char* text :
       {"E1M0/32/e8m0", "E2M0/32/e8m0", "E2M2/32/e8m0", "E2M3/32/e8m0", "E2M4/32/e8m0", "E2M5/32/e8m0",
        "E1M1+E2M0/16/ue4m3", "E1M3+E2M2/16/ue4m3", "E1M6+E2M5/16/ue4m3",  // N
        "E2M1/16/e8m0", "E2M1/64/e8m0", "E2M1/128/e8m0", "E2M1/row/e8m0", "E2M1/tensor/e8m0"})
    add_dequantize(text, DType::BF16, 1);
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  afp::bench::add_all();
  return afp::bench::run(argc, argv);
}
