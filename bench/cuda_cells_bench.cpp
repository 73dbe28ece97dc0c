// Quantizing with the choice of scale on a device: blocks that are cells in one pass (search_cells), rows of
// several cells in two (search_rows, encode). GB/s count what is read and written once: weights, scales,
// sums, codes. Every result is compared with the CPU backend's before it is timed.
#include <cstdint>
#include <string>
#include <vector>

#include "device_sample.hpp"
#include "kernels/encode.hpp"
#include "kernels/search_cells.hpp"
#include "kernels/search_rows.hpp"
#include "sample_tensor.hpp"
#include "scale_scan.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kSampleRows = kRows / 4;
constexpr std::uint64_t kRepeats = 32;  // of the sample's rows: 134 M weights
constexpr int kSets = 2;                // of buffers, each several times a second-level cache

// What the CPU makes of the sample, and the grid of all its repeats.
struct SearchCase {
  SearchCase(const std::string& text, DType type, Effort effort)
      : sample(parse_encoding(text), kSampleRows),
        grid(encoding().block, encoding().bits(), {kSampleRows * kRepeats, kColumns}),
        dtype(type),
        weights(weights_as(type, sample.bytes())) {
    const auto cpu = make_cpu_backend();
    sample.set_tensor_scale(*cpu);
    cpu->quantize({sample.grid, sample.cells(), dtype, weights.data()}, sample.codec, effort, sample.scales,
                  sample.sums, sample.codes);
  }
  const Encoding& encoding() const { return sample.codec.encoding; }
  kernels::DevicePiece piece(const DeviceBytes& at) const {
    return {grid, {0, grid.cells()}, dtype, at.data()};
  }
  std::uint64_t bytes_moved() const {
    return kRepeats *
           (weights.size() + sample.scales.size() + bytes_of(sample.sums).size() + sample.codes.size());
  }

  EncodedSample sample;
  BlockGrid grid;
  DType dtype;
  std::vector<std::byte> weights;
};

// One set of buffers; results are poisoned.
struct SearchBuffers {
  explicit SearchBuffers(const SearchCase& search)
      : weights(repeated(search.weights, kRepeats)),
        scales(search.sample.scales.size() * kRepeats),
        sums(bytes_of(search.sample.sums).size() * kRepeats),
        row_sums(kSampleRows * kRepeats * sizeof(StripSums)),
        codes(search.sample.codes.size() * kRepeats) {}

  void require_equal(const EncodedSample& expected) const {
    require_repeats(scales, bytes_of(expected.scales), kRepeats, "scales");
    require_repeats(sums, bytes_of(expected.sums), kRepeats, "sums");
    require_repeats(codes, bytes_of(expected.codes), kRepeats, "codes");
  }

  DeviceBytes weights, scales, sums, row_sums, codes;
};

cudaError_t quantize_cells(const SearchCase& search, Effort effort, const SearchBuffers& buffers) {
  return kernels::search_cells(
      {search.piece(buffers.weights), cells_per_strip(search.grid), block_codec(search.sample.codec), nullptr,
       effort, as<std::uint8_t>(buffers.scales), as<StripSums>(buffers.sums),
       as<std::uint8_t>(buffers.codes)},
      nullptr);
}

cudaError_t quantize_rows(const SearchCase& search, const SearchBuffers& buffers) {
  const BlockCodec codec = block_codec(search.sample.codec);
  const kernels::DevicePiece piece = search.piece(buffers.weights);
  auto* const scales = as<std::uint8_t>(buffers.scales);
  kernels::SearchRows task{piece,
                           cells_per_strip(search.grid),
                           {},
                           1,
                           nullptr,
                           1,
                           scales,
                           as<StripSums>(buffers.row_sums),
                           as<StripSums>(buffers.sums)};
  task.candidates[0] = codec;
  const cudaError_t error = kernels::search_rows(task, nullptr);
  if (error != cudaSuccess) return error;
  return kernels::encode({piece, codec, nullptr, scales, as<std::uint8_t>(buffers.codes)}, nullptr);
}

// A goal of 0: there is none.
void add_quantize(const std::string& text, DType dtype, Effort effort, double goal) {
  const std::string name = "quantize/" + text + "/" + std::string(dtype_name(dtype)) +
                           (effort == Effort::exact ? "/exact" : "/fast");
  add_device(name, [=](benchmark::State& state) {
    const SearchCase search(text, dtype, effort);
    const bool of_rows = search.encoding().block.kind == BlockKind::row;
    std::vector<SearchBuffers> sets;
    for (int i = 0; i < kSets; ++i) sets.emplace_back(search);
    const auto launch = [&](int i) {
      const SearchBuffers& buffers = sets[static_cast<std::size_t>(i)];
      return of_rows ? quantize_rows(search, buffers) : quantize_cells(search, effort, buffers);
    };
    for (int i = 0; i < kSets; ++i) require(launch(i), "quantizing");
    for (const SearchBuffers& buffers : sets) buffers.require_equal(search.sample);
    const double seconds = median_seconds(state, kSets, launch);
    report_device(state, seconds, search.bytes_moved(), search.grid.weights());
    if (goal != 0.0) state.counters["goal_Gweights/s"] = goal;
    if (of_rows || effort == Effort::fast) return;
    const double scales = scales_per_weight(search.sample.codec);
    state.counters["scales/weight"] = scales;
    state.counters["Tcandidates/s"] = scales * static_cast<double>(search.grid.weights()) / seconds / 1e12;
  });
}

void add_all() {
  constexpr double kE8m0Goal = 150.0, kPairGoal = 60.0;  // G weights/s at N = 4, exact, on an H200
  add_quantize("E2M1/32/e8m0", DType::BF16, Effort::exact, kE8m0Goal);
  for (const Effort effort : {Effort::exact, Effort::fast})
    add_quantize("E1M2+E2M1/16/ue4m3", DType::BF16, effort, effort == Effort::exact ? kPairGoal : 0.0);
  for (const char* const text : {"E2M0/32/e8m0", "E2M3/32/e8m0", "E2M5/32/e8m0", "E1M1+E2M0/16/ue4m3",
                                 "E1M4+E2M3/16/ue4m3", "E1M6+E2M5/16/ue4m3"})
    add_quantize(text, DType::BF16, Effort::exact, 0.0);
  for (const char* const text : {"E2M1/32/e8m0", "E1M2+E2M1/16/ue4m3"})
    add_quantize(text, DType::F32, Effort::exact, 0.0);
  for (const char* const text : {"E2M1/row/e8m0", "E1M2+E2M1/row/ue4m3"})
    add_quantize(text, DType::BF16, Effort::exact, 0.0);
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  return afp::bench::run_on_device(argc, argv, afp::bench::add_all);
}
