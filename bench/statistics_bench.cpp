// Gathering Statistics and the extent of weights in memory. GB/s count the source; the ceiling is reading
// it. Constant weights all fall on one key of the histogram: its worst case.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/codec.hpp"
#include "harness.hpp"
#include "sample_tensor.hpp"

namespace afp::bench {
namespace {

struct Source {
  std::string name;
  DType dtype;
  std::vector<std::byte> bytes;
};

// The bf16 weights as another type.
Source converted(std::string name, DType dtype, const std::vector<std::uint16_t>& weights) {
  Source source{std::move(name), dtype, std::vector<std::byte>(byte_size(dtype, {weights.size()}))};
  const std::size_t width = source.bytes.size() / weights.size();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float value = bf16_to_float(weights[i]);
    const std::uint16_t half = dtype == DType::F16 ? float_to_f16(value) : weights[i];
    const void* from = dtype == DType::F32 ? static_cast<const void*>(&value) : &half;
    std::memcpy(source.bytes.data() + i * width, from, width);
  }
  return source;
}

void add_source(Source source) {
  const auto data = std::make_shared<const Source>(std::move(source));
  const BlockGrid grid({BlockKind::tensor, 0}, 4, {kRows, kColumns});
  for (const int threads : {1, 2}) {
    const std::string suffix =
        std::string(dtype_name(data->dtype)) + "/" + data->name + "/threads:" + std::to_string(threads);
    const auto measured = [=](benchmark::State& state, const auto& body) {
      const auto backend = make_cpu_backend(threads);
      const WeightPiece piece{grid, {0, grid.cells()}, data->dtype, data->bytes.data()};
      const double seconds = best_seconds(state, threads, [&] { body(*backend, piece); });
      report(state, {seconds, data->bytes.size(), kWeights, read_ceiling(data->bytes, threads)});
    };
    add("statistics/" + suffix, [=](benchmark::State& state) {
      Statistics statistics(data->dtype);
      measured(state, [&](const Backend& backend, const WeightPiece& piece) {
        backend.accumulate(piece, statistics);
      });
    });
    add("extent/" + suffix, [=](benchmark::State& state) {
      measured(state, [](const Backend& backend, const WeightPiece& piece) {
        benchmark::DoNotOptimize(backend.extent(piece).absmax);
      });
    });
  }
}

void add_all() {
  const std::vector<std::uint16_t> gaussian = make_rows(Tails::gaussian, kSeed, kRows, kColumns);
  const std::vector<std::uint16_t> constant(kWeights, float_to_bf16(0.02f));
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32}) {
    add_source(converted("gaussian", dtype, gaussian));
    add_source(converted("constant", dtype, constant));
  }
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  afp::bench::add_all();
  return afp::bench::run(argc, argv);
}
