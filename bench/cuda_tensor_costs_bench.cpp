// What all 28 Formats cost tensor blocks, from the tables of their Statistics, on a device: laying out the
// keys, under kl the distributions of magnitudes, and the costs, as one chain of launches; and the costs
// alone. Those of the first and the last tensor are compared with the CPU's before the timing.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "afp/tensor_costs.hpp"
#include "cost_candidates.hpp"
#include "device_sample.hpp"
#include "host/cuda/tensor_tables.hpp"
#include "kernels/key_arrays.hpp"
#include "kernels/tensor_costs.hpp"
#include "sample_tensor.hpp"

namespace afp::bench {
namespace {

// Device memory as long as this lives. What nothing was written to is poisoned.
class Memory {
 public:
  template <class T>
  T* take(std::size_t count) {
    return as<T>(buffers_.emplace_back(count * sizeof(T)));
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    return as<T>(buffers_.emplace_back(bytes_of(values)));
  }
  template <class T>
  static std::vector<T> download(const T* from, std::size_t count) {
    std::vector<T> values(count);
    require(cudaMemcpy(values.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost),
            "copying from the device");
    return values;
  }

 private:
  std::vector<DeviceBytes> buffers_;
};

// Equal parts of the sample's rows as tensors, and all that the launches take.
class CostSet {
 public:
  CostSet(Objective objective, DType dtype, std::size_t tensors)
      : objective_(objective), dtype_(dtype), count_(static_cast<std::uint32_t>(tensors)) {
    const std::size_t size = byte_size(dtype, {kRows / tensors, kColumns});
    const std::vector<std::byte> weights = weights_as(dtype, sample_bytes());
    const auto cpu = make_cpu_backend();
    for (std::size_t t = 0; t < tensors; ++t)
      measured_.push_back(measure_tensor(*cpu, objective, dtype, std::span(weights).subspan(t * size, size)));
    std::vector<kernels::KeyTensor> keys;
    std::vector<kernels::CostTensor> costed;
    for (const TensorMeasurement& tensor : measured_) {
      keys.push_back({upload_tables(tensor.statistics()), nullptr, false, take_keys()});
      costed.push_back({keys.back().keys, nullptr, nullptr, 0});
    }
    if (objective != Objective::mse) add_distributions(keys, costed);
    std::vector<BlockCodec> codecs;
    for (const Encoding& encoding : space_) codecs.push_back(block_codec({encoding, 1.0f}));
    lay_out_ = {dtype, memory_.upload(keys), count_};
    costs_ = {dtype,
              objective,
              memory_.upload(costed),
              memory_.upload(codecs),
              count_,
              static_cast<std::uint32_t>(space_.size()),
              memory_.take<double>(tensors * space_.size()),
              memory_.take<TensorScale>(tensors * space_.size())};
    check();
  }

  std::size_t candidates() const { return space_.size(); }

  cudaError_t chain() const {
    cudaError_t error = kernels::lay_out_keys(lay_out_, nullptr);
    if (objective_ != Objective::mse) {
      if (error == cudaSuccess) error = cudaMemsetAsync(bins_, 0, bins_size_, nullptr);
      if (error == cudaSuccess) error = kernels::key_histogram(histogram_, nullptr);
      if (error == cudaSuccess) error = kernels::magnitude_shares(shares_, nullptr);
    }
    return error == cudaSuccess ? costs() : error;
  }
  cudaError_t costs() const { return kernels::tensor_costs(costs_, nullptr); }

 private:
  kernels::StatisticsTables upload_tables(const Statistics& statistics) {
    const std::size_t keys = kernels::keys_of(dtype_);
    std::vector<std::uint64_t> sums(cuda::sums_of(dtype_) * keys);
    const auto take = [&](std::size_t key) {
      const Statistics::Key values = statistics.key(key);
      const std::uint64_t all[] = {values.count, values.count_base, values.sum_r, values.sum_r2};
      for (std::size_t s = 0; s < cuda::sums_of(dtype_); ++s) sums[s * keys + key] = all[s];
    };
    take(0);
    for (std::size_t key = statistics.first_key(); key < statistics.end_key(); ++key) take(key);
    return cuda::tables_at(memory_.upload(sums), dtype_,
                           memory_.upload(std::vector<unsigned int>{float_bits(statistics.absmax())}));
  }

  kernels::KeyArrays take_keys() {
    cuda::Places sizes(nullptr);
    (void)cuda::take_key_arrays(sizes, dtype_, objective_);
    cuda::Places places(memory_.take<std::byte>(sizes.bytes()));
    return cuda::take_key_arrays(places, dtype_, objective_);
  }

  void add_distributions(const std::vector<kernels::KeyTensor>& keys,
                         std::vector<kernels::CostTensor>& costed) {
    for (const TensorMeasurement& tensor : measured_)
      bins_size_ += tensor.histogram()->bins() * sizeof(unsigned long long);
    bins_ = memory_.take<std::byte>(bins_size_);
    auto* counts = reinterpret_cast<unsigned long long*>(bins_);
    std::vector<kernels::KeyHistogramTensor> histograms;
    std::vector<kernels::ShareTensor> shares;
    for (std::size_t t = 0; t < measured_.size(); ++t) {
      const LinearHistogram& histogram = *measured_[t].histogram();
      const auto bins = static_cast<std::uint32_t>(histogram.bins());
      const float* const edges =
          memory_.upload(std::vector<float>(histogram.edges().begin(), histogram.edges().end()));
      histograms.push_back({keys[t].tables.count, {nullptr, 0, edges, bins, histogram.per_bin(), counts}});
      shares.push_back({edges, counts, bins, memory_.take<double>(bins), memory_.take<double>(bins)});
      costed[t] = {keys[t].keys, shares[t].points, shares[t].shares, bins};
      counts += bins;
    }
    histogram_ = {dtype_, memory_.upload(histograms), count_};
    shares_ = {memory_.upload(shares), count_, kBinCentre};
  }

  void check() const {
    require(chain(), "costing tensors");
    const std::size_t results = count_ * space_.size();
    const std::vector<double> costs = Memory::download(costs_.costs, results);
    const std::vector<TensorScale> scales = Memory::download(costs_.scales, results);
    for (const std::size_t t : {std::size_t{0}, measured_.size() - 1}) {
      const auto expected = tensor_block_costs(measured_[t], space_);
      for (std::size_t c = 0; c < space_.size(); ++c)
        if (costs[t * space_.size() + c] != expected[c]->cost ||
            scales[t * space_.size() + c] != expected[c]->scale)
          throw std::runtime_error("costs of " + to_string(space_[c]) + " differ from the CPU's");
    }
  }

  Objective objective_;
  DType dtype_;
  std::uint32_t count_;
  std::vector<Encoding> space_ = whole_space();
  std::vector<TensorMeasurement> measured_;
  Memory memory_;
  std::byte* bins_ = nullptr;  // counts of all histograms
  std::size_t bins_size_ = 0;
  kernels::LayOutKeys lay_out_{};
  kernels::KeyHistogram histogram_{};
  kernels::MagnitudeSharesTask shares_{};
  kernels::TensorCosts costs_{};
};

void add_costs(Objective objective, DType dtype, std::size_t tensors, bool costs_alone) {
  constexpr double kGoal = 200.0;  // microseconds a tensor on an H200
  const std::string name = std::string(costs_alone ? "tensor_costs_alone/" : "tensor_costs/") +
                           std::string(to_string(objective)) + "/" + std::string(dtype_name(dtype)) +
                           "/tensors:" + std::to_string(tensors);
  add_device(name, [=](benchmark::State& state) {
    const CostSet set(objective, dtype, tensors);
    const double seconds =
        median_seconds(state, 1, [&](int) { return costs_alone ? set.costs() : set.chain(); });
    const auto count = static_cast<double>(tensors), candidates = static_cast<double>(set.candidates());
    state.counters["us/tensor"] = seconds / count * 1e6;
    state.counters["goal_us/tensor"] = kGoal;
    state.counters["candidates"] = candidates;
    state.counters["Mcandidates/s"] = candidates * count / seconds / 1e6;
    report_ceilings(state);
  });
}

void add_all() {
  for (const bool costs_alone : {false, true})
    for (const std::size_t tensors : {std::size_t{1}, std::size_t{100}}) {
      for (const Objective objective : {Objective::mse, Objective::kl})
        add_costs(objective, DType::BF16, tensors, costs_alone);
      add_costs(Objective::mse, DType::F32, tensors, costs_alone);
    }
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  return afp::bench::run_on_device(argc, argv, afp::bench::add_all);
}
