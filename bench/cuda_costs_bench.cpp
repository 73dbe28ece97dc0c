// What many candidates cost blocks that are cells, on a device, all in one pass (cost_cells). GB/s count the
// weights once a launch, and the sums. Every result is compared with the CPU backend's before it is timed.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "cost_candidates.hpp"
#include "device_sample.hpp"
#include "kernels/cost_cells.hpp"
#include "sample_tensor.hpp"
#include "scale_scan.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kSampleRows = kRows / 16;
constexpr std::uint64_t kRepeats = 128;  // of the sample's rows: 134 M weights
constexpr int kSets = 2;                 // of weights and sums

// Candidates that one launch takes: normalized alike, in the order in which they were given. Their sums stand
// one behind the other.
using Groups = std::map<int, std::vector<TensorCodec>>;

struct CostCase {
  explicit CostCase(const std::vector<std::string>& texts)
      : sample(parse_encoding(texts.at(0)), kSampleRows),
        grid(sample.grid.block, sample.grid.bits, {kSampleRows * kRepeats, kColumns}) {
    const auto cpu = make_cpu_backend();
    const float absmax = cpu->extent(sample.piece()).absmax;
    for (const std::string& text : texts) {
      const Encoding encoding = parse_encoding(text);
      const bool is_scaled = encoding.scale == ScaleKind::ue4m3;
      const TensorCodec codec{encoding,
                              is_scaled ? ue4m3_tensor_scale(encoding.smallest_max_value(), absmax) : 1.0f};
      groups[lowest_block_exponent(codec)].push_back(codec);
    }
    for (const auto& [exponent, codecs] : groups) {
      std::vector<std::vector<StripSums>> sums(codecs.size(), std::vector<StripSums>(sample.sums.size()));
      std::vector<std::span<StripSums>> spans(sums.begin(), sums.end());
      cpu->block_costs(sample.piece(), codecs, Effort::exact, 1, spans);
      expected.insert(expected.end(), sums.begin(), sums.end());
    }
  }

  std::uint64_t strips() const { return sample.sums.size() * kRepeats; }

  cudaError_t launch(const DeviceBytes& weights, const DeviceBytes& sums) const {
    StripSums* at = as<StripSums>(sums);
    for (const auto& [exponent, codecs] : groups) {
      kernels::CostCells task{{grid, {0, grid.cells()}, DType::BF16, weights.data()},
                              cells_per_strip(grid),
                              {},
                              static_cast<int>(codecs.size()),
                              Effort::exact,
                              1,
                              at};
      for (std::size_t c = 0; c < codecs.size(); ++c) task.candidates[c] = block_codec(codecs[c]);
      const cudaError_t error = kernels::cost_cells(task, nullptr);
      if (error != cudaSuccess) return error;
      at += codecs.size() * strips();
    }
    return cudaSuccess;
  }

  EncodedSample sample;
  BlockGrid grid;
  Groups groups;
  std::vector<std::vector<StripSums>> expected;  // of all groups
};

// A goal of 0: there is none.
void add_costs(const std::string& name, const std::vector<std::string>& texts, double goal) {
  add_device("block_costs/" + name, [=](benchmark::State& state) {
    const CostCase costs(texts);
    const std::size_t sums_size = texts.size() * costs.strips() * sizeof(StripSums);
    std::vector<DeviceBytes> weights, sums;
    for (int i = 0; i < kSets; ++i) {
      weights.push_back(repeated(costs.sample.bytes(), kRepeats));
      sums.emplace_back(sums_size);
    }
    const auto launch = [&](int i) {
      const auto set = static_cast<std::size_t>(i);
      return costs.launch(weights[set], sums[set]);
    };
    for (int i = 0; i < kSets; ++i) require(launch(i), "costing");
    for (const DeviceBytes& found : sums)
      for (std::size_t c = 0; c < costs.expected.size(); ++c)
        require_repeats(found, bytes_of(costs.expected[c]), kRepeats, "sums",
                        c * costs.strips() * sizeof(StripSums));
    const double seconds = median_seconds(state, kSets, launch);
    const auto count = static_cast<double>(costs.grid.weights());
    report_device(state, seconds, weights[0].size() + sums_size, costs.grid.weights());
    if (goal != 0.0) state.counters["goal_Gweights/s"] = goal;
    state.counters["candidates"] = static_cast<double>(texts.size());
    state.counters["launches"] = static_cast<double>(costs.groups.size());
    state.counters["Tweight_candidates/s"] = static_cast<double>(texts.size()) * count / seconds / 1e12;
    double scales = 0.0;
    for (const auto& [exponent, codecs] : costs.groups)
      for (const TensorCodec& codec : codecs) scales += scales_per_weight(codec);
    state.counters["scales/weight"] = scales;
    state.counters["Tcandidates/s"] = scales * count / seconds / 1e12;
  });
}

void add_all() {
  constexpr double kAllFormatsGoal = 30.0;  // G weights/s on an H200
  add_costs("N2..8/32/e8m0", all_formats(2, 8, "32"), kAllFormatsGoal);
  add_costs("N4/32/e8m0", all_formats(4, 4, "32"), 0.0);
  add_costs("pairs_N3..6/16/ue4m3", pairs(3, 6, "16"), 0.0);
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  return afp::bench::run_on_device(argc, argv, afp::bench::add_all);
}
