// What many candidates cost the row or small blocks of bf16 weights, in one pass without codes; and the error
// under given scales weighted by column. Scales are counted as the exact search is defined, see
// scale_scan.hpp.
#include <string>
#include <vector>

#include "cost_candidates.hpp"
#include "harness.hpp"
#include "sample_tensor.hpp"
#include "scale_scan.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kManyRows = kRows / 4, kFewRows = kRows / 16;

struct CostedSample {
  CostedSample(const std::vector<std::string>& texts, std::uint64_t rows, const Backend& backend)
      : sample(parse_encoding(texts.at(0)), rows) {
    const float absmax = backend.extent(sample.piece()).absmax;
    for (const std::string& text : texts) {
      const Encoding encoding = parse_encoding(text);
      const bool scaled = encoding.scale == ScaleKind::ue4m3;
      codecs.push_back({encoding, scaled ? ue4m3_tensor_scale(encoding.smallest_max_value(), absmax) : 1.0f});
      storage.emplace_back(sample.sums.size());
    }
    for (std::vector<StripSums>& sums : storage) spans.emplace_back(sums);
  }

  EncodedSample sample;
  std::vector<TensorCodec> codecs;
  std::vector<std::vector<StripSums>> storage;
  std::vector<std::span<StripSums>> spans;
};

void add_costs(const std::string& name, const std::vector<std::string>& texts, Effort effort, int threads,
               std::uint64_t rows, std::uint32_t sample = 1) {
  add("block_costs/" + name + (effort == Effort::exact ? "/exact" : "/fast") +
          "/threads:" + std::to_string(threads),
      [=](benchmark::State& state) {
        const auto backend = make_cpu_backend(threads);
        CostedSample costed(texts, rows, *backend);
        const WeightPiece piece = costed.sample.piece();
        const double seconds = best_seconds(state, threads, [&] {
          backend->block_costs(piece, costed.codecs, effort, sample, costed.spans);
        });
        report(state, {seconds, costed.sample.bytes().size(), costed.sample.grid.weights(),
                       read_ceiling(costed.sample.bytes(), threads)});
        state.counters["candidates"] = static_cast<double>(texts.size());
        if (effort == Effort::fast || sample != 1 || costed.sample.grid.block.kind == BlockKind::row) return;
        double scales = 0.0;  // a weight
        for (const TensorCodec& codec : costed.codecs) scales += scales_per_weight(codec);
        state.counters["scales/weight"] = scales;
        state.counters["Gcandidates/s"] =
            scales * static_cast<double>(costed.sample.grid.weights()) / seconds / 1e9;
      });
}

void add_weighted(const std::string& text, int threads) {
  add("weighted_errors/" + text + "/threads:" + std::to_string(threads), [=](benchmark::State& state) {
    const auto backend = make_cpu_backend(threads);
    EncodedSample sample(parse_encoding(text), kManyRows);
    sample.set_tensor_scale(*backend);
    if (sample.codec.encoding.block.kind == BlockKind::tensor)
      sample.scales[0] = 123;  // any will do
    else
      backend->quantize(sample.piece(), sample.codec, Effort::fast, sample.scales, sample.sums, sample.codes);
    std::vector<float> importance(kColumns);
    for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = static_cast<float>(i % 7);
    std::vector<double> errors(sample.sums.size());
    const double seconds = best_seconds(state, threads, [&] {
      backend->weighted_errors(sample.piece(), sample.codec, sample.scales, importance, errors);
    });
    report(state,
           {seconds, sample.bytes().size(), sample.grid.weights(), read_ceiling(sample.bytes(), threads)});
  });
}

void add_all() {
  for (const int threads : {1, 2}) {
    add_costs("N4/32/e8m0", all_formats(4, 4, "32"), Effort::exact, threads, kManyRows);
    add_costs("N2..8/32/e8m0", all_formats(2, 8, "32"), Effort::exact, threads, kManyRows);
    add_costs("pairs_N3..6/16/ue4m3", pairs(3, 6, "16"), Effort::exact, threads, kManyRows);
    add_costs("N2..8/row/e8m0", all_formats(2, 8, "row"), Effort::exact, threads, kFewRows);
    add_costs("pairs_N3..6/row/ue4m3", pairs(3, 6, "row"), Effort::exact, threads, kFewRows);
  }
  for (const char* const block : {"16", "64", "128"})
    add_costs(std::string("N2..8/") + block + "/e8m0", all_formats(2, 8, block), Effort::exact, 1, kManyRows);
  for (const char* const block : {"32", "64", "128"})
    add_costs(std::string("pairs_N3..6/") + block + "/ue4m3", pairs(3, 6, block), Effort::exact, 1,
              kManyRows);
  add_costs("pairs_N3..6/16/ue4m3", pairs(3, 6, "16"), Effort::fast, 1, kManyRows);
  add_costs("pairs_N2..8/16/ue4m3", pairs(2, 8, "16"), Effort::exact, 1, kManyRows);
  add_costs("N2..8/32/e8m0/sample:16", all_formats(2, 8, "32"), Effort::exact, 1, kManyRows, 16);
  for (int bits = kMinBits; bits <= kMaxBits; ++bits) {
    const std::string name = "N" + std::to_string(bits);
    if (bits != 4) add_costs(name + "/32/e8m0", all_formats(bits, bits, "32"), Effort::exact, 1, kManyRows);
    add_costs("pair_" + name + "/16/ue4m3", pairs(bits, bits, "16"), Effort::exact, 1, kManyRows);
  }
  for (const char* const text : {"E2M1/32/e8m0", "E1M2+E2M1/16/ue4m3", "E3M2/row/e8m0", "E2M5/tensor/e8m0"})
    add_weighted(text, 1);
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  afp::bench::add_all();
  return afp::bench::run(argc, argv);
}
