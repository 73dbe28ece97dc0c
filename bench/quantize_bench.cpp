// Quantizing bf16 weights in memory: scales and codes in one pass, scales alone, codes alone. GB/s count
// the source; the ceiling is reading it.
#include <map>
#include <memory>
#include <string>

#include "afp/quantize.hpp"
#include "harness.hpp"
#include "sample_tensor.hpp"
#include "scale_scan.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kScanRows = kRows / 4;  // of the benchmarks whose work is counted weight by weight

std::string thread_suffix(int threads) {
  return "/threads:" + std::to_string(threads);
}
std::string effort_name(Effort effort) {
  return effort == Effort::exact ? "/exact" : "/fast";
}

void report_source(benchmark::State& state, const EncodedSample& sample, double seconds, int threads) {
  report(state,
         {seconds, sample.bytes().size(), sample.grid.weights(), read_ceiling(sample.bytes(), threads)});
}

void add_quantize(const std::string& text, Effort effort, int threads) {
  add("quantize/" + text + effort_name(effort) + thread_suffix(threads), [=](benchmark::State& state) {
    const auto backend = make_cpu_backend(threads);
    EncodedSample sample(parse_encoding(text));
    sample.set_tensor_scale(*backend);
    const double seconds = best_seconds(state, threads, [&] {
      backend->quantize(sample.piece(), sample.codec, effort, sample.scales, sample.sums, sample.codes);
    });
    report_source(state, sample, seconds, threads);
  });
}

// A tensor block: Statistics, the choice of the scale, and the codes.
void add_quantize_tensor(const std::string& text, int threads) {
  add("quantize/" + text + "/exact" + thread_suffix(threads), [=](benchmark::State& state) {
    const auto backend = make_cpu_backend(threads);
    const Encoding encoding = parse_encoding(text);
    const EncodedSample sample(encoding);
    const TensorInfo info{"sample", DType::BF16, {kRows, kColumns}};
    const double seconds = best_seconds(state, threads, [&] {
      benchmark::DoNotOptimize(quantize_tensor(*backend, info, sample.bytes(), {&encoding, 1}).codes.data());
    });
    report_source(state, sample, seconds, threads);
  });
}

void add_encode(const std::string& text, int threads) {
  add("encode/" + text + thread_suffix(threads), [=](benchmark::State& state) {
    const auto backend = make_cpu_backend(threads);
    EncodedSample sample(parse_encoding(text));
    sample.set_tensor_scale(*backend);
    backend->quantize(sample.piece(), sample.codec, Effort::fast, sample.scales, sample.sums, sample.codes);
    const double seconds = best_seconds(
        state, threads, [&] { backend->encode(sample.piece(), sample.codec, sample.scales, sample.codes); });
    report_source(state, sample, seconds, threads);
  });
}

void add_choose_scales(const std::string& text, int threads) {
  add("choose_scales/" + text + thread_suffix(threads), [=](benchmark::State& state) {
    const auto backend = make_cpu_backend(threads);
    EncodedSample sample(parse_encoding(text), kScanRows);
    sample.set_tensor_scale(*backend);
    static std::map<std::string, std::uint64_t> counts;
    if (!counts.contains(text)) counts[text] = count_weight_candidates(sample.piece(), sample.codec);

    const std::span<std::uint8_t> scales = sample.scales;
    const std::span<StripSums> sums = sample.sums;
    const double seconds = best_seconds(state, threads, [&] {
      backend->choose_scales(sample.piece(), {&sample.codec, 1}, Effort::exact, {&scales, 1}, {&sums, 1});
    });
    report_source(state, sample, seconds, threads);
    const auto candidates = static_cast<double>(counts[text]);
    state.counters["scales/weight"] = candidates / static_cast<double>(sample.grid.weights());
    state.counters["Gcandidates/s"] = candidates / seconds / 1e9;
  });
}

void add_all() {
  for (const int threads : {1, 2}) {
    add_quantize("E2M1/32/e8m0", Effort::exact, threads);
    add_quantize("E1M2+E2M1/16/ue4m3", Effort::exact, threads);
    add_quantize("E1M2+E2M1/16/ue4m3", Effort::fast, threads);
    add_quantize_tensor("E2M1/tensor/e8m0", threads);
    add_choose_scales("E2M1/32/e8m0", threads);
    add_choose_scales("E2M1/16/ue4m3", threads);
    add_choose_scales("E1M2+E2M1/16/ue4m3", threads);
  }
  for (const char* text : {"E1M0/32/e8m0", "E2M0/32/e8m0", "E2M2/32/e8m0", "E2M3/32/e8m0", "E2M4/32/e8m0",
                           "E2M5/32/e8m0", "E1M2/32/e8m0", "E3M0/32/e8m0", "E4M3/32/e8m0",     // N and E
                           "E2M1/16/e8m0", "E2M1/64/e8m0", "E2M1/128/e8m0", "E2M1/row/e8m0"})  // block
    add_quantize(text, Effort::exact, 1);
  for (const char* text : {"E1M0/16/ue4m3", "E1M1+E2M0/16/ue4m3", "E1M3+E2M2/16/ue4m3", "E1M4+E2M3/16/ue4m3",
                           "E1M5+E2M4/16/ue4m3", "E1M6+E2M5/16/ue4m3", "E2M1/16/ue4m3",           // N
                           "E1M2+E2M1/32/ue4m3", "E1M2+E2M1/64/ue4m3", "E1M2+E2M1/128/ue4m3"}) {  // block
    add_quantize(text, Effort::exact, 1);
    add_quantize(text, Effort::fast, 1);
  }
  for (const char* text :
       {"E2M0/32/e8m0", "E2M1/32/e8m0", "E2M3/32/e8m0", "E2M5/32/e8m0", "E1M2+E2M1/16/ue4m3"})
    add_encode(text, 1);
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  afp::bench::add_all();
  return afp::bench::run(argc, argv);
}
