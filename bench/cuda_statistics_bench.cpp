// Gathering Statistics on a device, of one tensor and of thousands in one launch, beside CUB's histogram; the
// extent of weights; their linear histogram. GB/s count the weights: the ceiling is reading them
// (read_GB/s). Every result is compared with the CPU's before it is timed.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "afp/linear_histogram.hpp"
#include "afp/statistics.hpp"
#include "device_histogram_peer.hpp"
#include "device_sample.hpp"
#include "host/cuda/tensor_tables.hpp"
#include "kernels/extent.hpp"
#include "kernels/linear_histogram.hpp"
#include "kernels/single_tensor.hpp"
#include "kernels/statistics.hpp"
#include "sample_tensor.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kRepeats = 8;  // of the sample: 134 M weights
constexpr int kSets = 2;               // of weights, each several times a second-level cache

int multiprocessors() {
  int device = 0, count = 0;
  require(cudaGetDevice(&device), "asking for the device");
  require(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
          "asking for the number of multiprocessors");
  return count;
}

DeviceBytes zeros(std::size_t size) {
  DeviceBytes bytes(size);
  require(cudaMemset(bytes.data(), 0, size), "clearing device memory");
  return bytes;
}

template <class T>
T read_one(const DeviceBytes& bytes) {
  T value;
  std::memcpy(&value, bytes.read(0, sizeof value).data(), sizeof value);
  return value;
}

enum class Weights { gaussian, constant, fp8_born };

const char* name_of(Weights weights) {
  return weights == Weights::gaussian ? "gaussian" : weights == Weights::constant ? "constant" : "fp8_born";
}

std::vector<std::byte> weights_of(Weights weights, DType dtype) {
  std::vector<std::uint16_t> halves = weights == Weights::constant
                                          ? std::vector<std::uint16_t>(kWeights, float_to_bf16(0.02f))
                                          : make_rows(Tails::gaussian, kSeed, kRows, kColumns);
  if (weights == Weights::fp8_born)  // three mantissa bits, as E4M3 has
    for (std::uint16_t& half : halves) half = static_cast<std::uint16_t>(half & 0xFFF0u);
  return weights_as(dtype, bytes_of(halves));
}

// The tables of many tensors; zeros, to which launches add.
class Tables {
 public:
  Tables(DType dtype, std::size_t tensors)
      : dtype_(dtype),
        words_(cuda::sums_of(dtype) * kernels::keys_of(dtype)),
        sums_(zeros(tensors * words_ * sizeof(std::uint64_t))),
        largest_(zeros(tensors * sizeof(unsigned int))) {}

  kernels::StatisticsTables of(std::size_t tensor) const {
    return cuda::tables_at(as<std::uint64_t>(sums_) + tensor * words_, dtype_,
                           as<unsigned int>(largest_) + tensor);
  }
  Statistics read(std::size_t tensor) const {
    std::vector<std::uint64_t> all(words_);
    const auto bytes = sums_.read(tensor * words_ * sizeof(std::uint64_t), words_ * sizeof(std::uint64_t));
    std::memcpy(all.data(), bytes.data(), bytes.size());
    const std::span<const std::uint64_t> view(all);
    Statistics statistics(dtype_);
    if (dtype_ != DType::F32) {
      statistics.add_counts(0, view);
      return statistics;
    }
    std::uint32_t largest;
    std::memcpy(&largest, largest_.read(tensor * sizeof largest, sizeof largest).data(), sizeof largest);
    const std::size_t keys = kernels::keys_of(dtype_);
    statistics.add_counts(0,
                          Statistics::WideCounts{view.subspan(0, keys), view.subspan(keys, keys),
                                                 view.subspan(2 * keys, keys), view.subspan(3 * keys, keys)},
                          bits_float(largest));
    return statistics;
  }

 private:
  DType dtype_;
  std::size_t words_;
  DeviceBytes sums_, largest_;
};

void report_elements(benchmark::State& state, double seconds, std::uint64_t bytes, std::uint64_t weights,
                     double goal) {
  report_device(state, seconds, bytes, weights);
  state.counters["Telements/s"] = static_cast<double>(weights) / seconds / 1e12;
  state.counters["%_of_read"] =
      100.0 * static_cast<double>(bytes) / seconds / 1e9 / state.counters["read_GB/s"];
  if (goal != 0.0) state.counters["goal_Telements/s"] = goal;
}

void require_equal(bool equal, const char* what) {
  if (!equal) throw std::runtime_error(std::string(what) + " differ from the CPU's");
}

// Tensors in one launch, of the same memory's begin on; each of as many weights as `counts` says.
class StatisticsLaunch {
 public:
  StatisticsLaunch(DType dtype, const DeviceBytes& weights, const std::vector<std::uint64_t>& counts)
      : dtype_(dtype),
        tables_(dtype, counts.size()),
        tensors_(tasks(weights, counts)),
        first_(chunks(counts)) {}

  cudaError_t operator()() const {
    return kernels::statistics({dtype_,
                                as<const kernels::StatisticsTensor>(tensors_),
                                {as<const std::uint64_t>(first_), count_},
                                chunks_,
                                multiprocessors_},
                               nullptr);
  }
  const Tables& tables() const { return tables_; }

 private:
  DeviceBytes tasks(const DeviceBytes& weights, const std::vector<std::uint64_t>& counts) const {
    std::vector<kernels::StatisticsTensor> tensors;
    const std::byte* at = weights.data();
    for (const std::uint64_t count : counts) {
      tensors.push_back({at, count, tables_.of(tensors.size())});
      at += byte_size(dtype_, {count});
    }
    return DeviceBytes(bytes_of(tensors));
  }
  DeviceBytes chunks(const std::vector<std::uint64_t>& counts) {
    std::vector<std::uint64_t> first = {0};
    for (const std::uint64_t count : counts)
      first.push_back(first.back() + ceil_div(count, kernels::kStatisticsChunk));
    count_ = static_cast<std::uint32_t>(counts.size());
    chunks_ = first.back();
    return DeviceBytes(bytes_of(first));
  }

  DType dtype_;
  std::uint32_t count_ = 0;
  std::uint64_t chunks_ = 0;
  int multiprocessors_ = multiprocessors();
  Tables tables_;
  DeviceBytes tensors_, first_;
};

void add_statistics(Weights kind, DType dtype, double goal) {
  const std::string suffix = std::string(dtype_name(dtype)) + "/" + name_of(kind);
  add_device("statistics/" + suffix, [=](benchmark::State& state) {
    const std::vector<std::byte> weights = weights_of(kind, dtype);
    Statistics once(dtype), expected(dtype);
    once.add(weights.data(), kWeights);
    for (std::uint64_t i = 0; i < kRepeats; ++i) expected.merge(once);
    std::vector<DeviceBytes> on_device;
    std::vector<StatisticsLaunch> launches;
    for (int i = 0; i < kSets; ++i) {
      on_device.push_back(repeated(weights, kRepeats));
      launches.emplace_back(dtype, on_device.back(), std::vector<std::uint64_t>{kWeights * kRepeats});
    }
    const auto launch = [&](int i) { return launches[static_cast<std::size_t>(i)](); };
    for (int i = 0; i < kSets; ++i) require(launch(i), "gathering statistics");
    for (const StatisticsLaunch& set : launches)
      require_equal(set.tables().read(0) == expected, "statistics");
    report_elements(state, median_seconds(state, kSets, launch), on_device[0].size(), kWeights * kRepeats,
                    goal);
  });
}

// Tensors of 56 to 75 thousand weights that begin anywhere.
void add_many_tensors(std::size_t tensors) {
  add_device("statistics/BF16/gaussian/tensors:" + std::to_string(tensors), [=](benchmark::State& state) {
    const std::vector<std::byte> weights = weights_of(Weights::gaussian, DType::BF16);
    std::vector<std::uint64_t> counts;
    std::uint64_t total = 0;
    const std::uint64_t mean = kWeights * kRepeats / tensors;
    for (std::size_t t = 0; t < tensors; ++t) {
      counts.push_back(mean * (85 + t % 29) / 100);
      total += counts.back();
    }
    const DeviceBytes on_device = repeated(weights, kRepeats);
    const StatisticsLaunch launch(DType::BF16, on_device, counts);
    require(launch(), "gathering statistics");
    std::uint64_t begin = 0;
    for (std::size_t t = 0; t < tensors; ++t) {
      if (t % (tensors / 10) == 0 || t == tensors - 1) {
        const auto part = on_device.read(begin * 2, counts[t] * 2);
        Statistics expected(DType::BF16);
        expected.add(part.data(), counts[t]);
        require_equal(launch.tables().read(t) == expected, "statistics of many tensors");
      }
      begin += counts[t];
    }
    report_elements(state, median_seconds(state, 1, [&](int) { return launch(); }), total * 2, total, 0.0);
  });
}

void add_peer(Weights kind) {
  add_device(std::string("cub_histogram/BF16/") + name_of(kind), [=](benchmark::State& state) {
    constexpr auto kCount = static_cast<std::uint32_t>(kWeights * kRepeats);
    const std::vector<std::byte> weights = weights_of(kind, DType::BF16);
    std::vector<std::uint32_t> expected(kernels::kHalfKeys);
    for (std::uint64_t i = 0; i < kWeights; ++i) {
      std::uint16_t half;
      std::memcpy(&half, weights.data() + 2 * i, sizeof half);
      expected[half & 0x7FFFu] += static_cast<std::uint32_t>(kRepeats);
    }
    std::vector<DeviceBytes> on_device;
    for (int i = 0; i < kSets; ++i) on_device.push_back(repeated(weights, kRepeats));
    const DeviceBytes counts(expected.size() * sizeof(std::uint32_t));
    std::size_t size = 0;
    const auto histogram = [&](void* workspace, int set) {
      return cub_magnitude_histogram(workspace, &size, on_device[static_cast<std::size_t>(set)].data(),
                                     kCount, as<std::uint32_t>(counts), nullptr);
    };
    require(histogram(nullptr, 0), "sizing CUB's workspace");
    const DeviceBytes workspace(std::max<std::size_t>(size, 1));
    const auto launch = [&](int i) { return histogram(workspace.data(), i); };
    require(launch(0), "CUB's histogram");
    require_repeats(counts, bytes_of(expected), 1, "CUB's counts");
    report_elements(state, median_seconds(state, kSets, launch), on_device[0].size(), kCount, 0.0);
  });
}

void add_extent(Weights kind, DType dtype) {
  const std::string suffix = std::string(dtype_name(dtype)) + "/" + name_of(kind);
  add_device("extent/" + suffix, [=](benchmark::State& state) {
    const std::vector<std::byte> weights = weights_of(kind, dtype);
    const BlockGrid grid({BlockKind::tensor, 0}, 4, {kRows, kColumns});
    const Extent expected = make_cpu_backend()->extent({grid, {0, grid.cells()}, dtype, weights.data()});
    std::vector<DeviceBytes> on_device;
    for (int i = 0; i < kSets; ++i) on_device.push_back(repeated(weights, kRepeats));
    const DeviceBytes result(sizeof(kernels::RawExtent));
    const int processors = multiprocessors();
    const auto launch = [&](int i) {
      return kernels::extent({dtype, on_device[static_cast<std::size_t>(i)].data(), kWeights * kRepeats,
                              processors, as<kernels::RawExtent>(result)},
                             nullptr);
    };
    require(kernels::begin_extent(as<kernels::RawExtent>(result), nullptr), "beginning an extent");
    require(launch(0), "the extent");
    const Extent found = kernels::extent_of(read_one<kernels::RawExtent>(result));
    require_equal(found.absmax == expected.absmax && found.largest == expected.largest &&
                      found.smallest_magnitude == expected.smallest_magnitude &&
                      found.zeros == kRepeats * expected.zeros && found.nonfinite == 0,
                  "extents");
    report_elements(state, median_seconds(state, kSets, launch), on_device[0].size(), kWeights * kRepeats,
                    0.0);
  });
}

// As many bins as kl takes.
void add_linear_histogram(Weights kind, DType dtype) {
  const std::string suffix = std::string(dtype_name(dtype)) + "/" + name_of(kind);
  add_device("linear_histogram/" + suffix, [=](benchmark::State& state) {
    const std::vector<std::byte> weights = weights_of(kind, dtype);
    const BlockGrid grid({BlockKind::tensor, 0}, 4, {kRows, kColumns});
    const Extent extent = make_cpu_backend()->extent({grid, {0, grid.cells()}, dtype, weights.data()});
    LinearHistogram histogram(
        extent.absmax,
        LinearHistogram::square_root_rule(extent.absmax, extent.smallest_magnitude, kWeights * kRepeats));
    histogram.add(dtype, weights.data(), kWeights);
    std::vector<std::uint64_t> expected(histogram.counts().begin(), histogram.counts().end());
    for (std::uint64_t& count : expected) count *= kRepeats;

    const auto bins = static_cast<std::uint32_t>(histogram.bins());
    const std::vector<std::uint64_t> first_chunk = {0,
                                                    ceil_div(kWeights * kRepeats, kernels::kHistogramChunk)};
    const DeviceBytes edges(bytes_of(histogram.edges())), first(bytes_of(first_chunk));
    std::vector<DeviceBytes> on_device, counts, tensors;
    for (int i = 0; i < kSets; ++i) {
      on_device.push_back(repeated(weights, kRepeats));
      counts.push_back(zeros(bins * sizeof(std::uint64_t)));
      const std::vector<kernels::HistogramTensor> tensor = {
          {on_device.back().data(), kWeights * kRepeats, as<const float>(edges), bins, histogram.per_bin(),
           as<unsigned long long>(counts.back())}};
      tensors.emplace_back(bytes_of(tensor));
    }
    const int processors = multiprocessors();
    const auto launch = [&](int i) {
      return kernels::linear_histogram(
          {dtype,
           as<const kernels::HistogramTensor>(tensors[static_cast<std::size_t>(i)]),
           {as<const std::uint64_t>(first), 1},
           first_chunk[1],
           bins,
           processors},
          nullptr);
    };
    for (int i = 0; i < kSets; ++i) require(launch(i), "the linear histogram");
    for (const DeviceBytes& found : counts) require_repeats(found, bytes_of(expected), 1, "counts of bins");
    report_elements(state, median_seconds(state, kSets, launch), on_device[0].size(), kWeights * kRepeats,
                    0.0);
    state.counters["bins"] = static_cast<double>(bins);
  });
}

void add_all() {
  constexpr double kGoal = 1.8, kHostileGoal = 1.0;  // T elements/s of BF16 on an H200
  add_statistics(Weights::gaussian, DType::BF16, kGoal);
  add_statistics(Weights::constant, DType::BF16, kHostileGoal);
  add_statistics(Weights::fp8_born, DType::BF16, kHostileGoal);
  for (const Weights kind : {Weights::gaussian, Weights::constant, Weights::fp8_born}) add_peer(kind);
  add_many_tensors(2000);
  for (const DType dtype : {DType::F16, DType::F32})
    for (const Weights kind : {Weights::gaussian, Weights::constant}) add_statistics(kind, dtype, 0.0);
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32}) {
    add_extent(Weights::gaussian, dtype);
    add_linear_histogram(Weights::gaussian, dtype);
  }
  add_linear_histogram(Weights::constant, DType::BF16);
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  return afp::bench::run_on_device(argc, argv, afp::bench::add_all);
}
