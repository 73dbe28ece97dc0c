// Bodies of afp/cuda.hpp's TensorSet: one launch a step for all tensors. What the host learns on the way is
// the facts of every tensor, from which the sizes of their histograms follow.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

#include "afp/block_search.hpp"
#include "afp/cuda.hpp"
#include "afp/error.hpp"
#include "afp/linear_histogram.hpp"
#include "host/core/nonfinite.hpp"
#include "host/cuda/buffers.hpp"
#include "host/cuda/check.hpp"
#include "host/cuda/range.hpp"
#include "host/cuda/tensor_tables.hpp"
#include "kernels/key_arrays.hpp"
#include "kernels/linear_histogram.hpp"
#include "kernels/primitives.hpp"
#include "kernels/single_tensor.hpp"
#include "kernels/statistics.hpp"
#include "kernels/tensor_costs.hpp"

namespace afp::cuda {
namespace {

constexpr const char* kLaunching = "starting a kernel";

// Device memory on one stream, and copies to and from it that the caller waits for.
class Memory {
 public:
  explicit Memory(cudaStream_t stream) : stream_(stream) {}

  cudaStream_t stream() const { return stream_; }

  template <class T>
  T* take(std::size_t count) {
    buffers_.emplace_back(std::max<std::size_t>(1, count) * sizeof(T), stream_, meter_);
    return reinterpret_cast<T*>(buffers_.back().data());
  }
  template <class T>
  T* take_zeros(std::size_t count) {
    T* const memory = take<T>(count);
    check(cudaMemsetAsync(memory, 0, std::max<std::size_t>(1, count) * sizeof(T), stream_),
          "clearing device memory");
    return memory;
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    T* const memory = take<T>(values.size());
    if (values.empty()) return memory;
    check(cudaMemcpyAsync(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice, stream_),
          "copying to the device");
    wait();
    return memory;
  }
  template <class T>
  std::vector<T> download(const T* memory, std::size_t count) const {
    std::vector<T> values(count);
    if (values.empty()) return values;
    check(cudaMemcpyAsync(values.data(), memory, count * sizeof(T), cudaMemcpyDeviceToHost, stream_),
          "copying from the device");
    wait();
    return values;
  }
  void wait() const { check(cudaStreamSynchronize(stream_), "waiting for the device"); }

 private:
  cudaStream_t stream_;
  MemoryMeter meter_;
  std::vector<DeviceBuffer> buffers_;
};

// The list of chunks of tensors with so many weights: its offsets are summed up on the device.
struct ChunkList {
  ChunkList(Memory& memory, const std::vector<std::uint64_t>& weights, std::uint64_t chunk_weights) {
    std::vector<std::uint64_t> counts;
    for (const std::uint64_t count : weights) counts.push_back(ceil_div(count, chunk_weights));
    for (const std::uint64_t count : counts) chunks += count;
    counts.push_back(0);  // behind whose sum the total stands
    std::size_t bytes = 0;
    check(kernels::exclusive_sum_bytes(counts.size(), &bytes), "sizing a workspace");
    auto* const first = memory.take<std::uint64_t>(counts.size());
    check(kernels::exclusive_sum({memory.take<std::byte>(bytes), bytes}, memory.upload(counts), first,
                                 counts.size(), memory.stream()),
          kLaunching);
    work = {first, static_cast<std::uint32_t>(weights.size())};
  }

  kernels::WorkList work{};
  std::uint64_t chunks = 0;
};

kernels::RawExtent* extent_of(Memory& memory, const Weights& tensor, std::uint64_t count,
                              int multiprocessors) {
  auto* const extent = memory.take<kernels::RawExtent>(1);
  check(kernels::begin_extent(extent, memory.stream()), kLaunching);
  check(kernels::extent(
            {tensor.dtype, static_cast<const std::byte*>(tensor.data), count, multiprocessors, extent},
            memory.stream()),
        kLaunching);
  return extent;
}

}  // namespace

struct TensorSet::State {
  State(const Context& context, std::span<const Weights> set, StreamHandle stream)
      : multiprocessors(context.multiprocessors()), tensors(set.begin(), set.end()), memory(stream) {
    if (tensors.empty()) throw UsageError("a set of tensors is empty; expected one at least");
    dtype = tensors[0].dtype;
    if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
      throw UsageError("weights on a device are BF16, F16 or F32, found " + std::string(dtype_name(dtype)));
    const auto width = static_cast<std::uintptr_t>(dtype_bits(dtype)) / 8;
    for (const Weights& tensor : tensors) {
      if (tensor.dtype != dtype)
        throw UsageError("a set of tensors holds " + std::string(dtype_name(dtype)) + " and " +
                         std::string(dtype_name(tensor.dtype)) + " weights; expected one type");
      counts.push_back(element_count(tensor.shape));
      if (counts.back() != 0 &&
          (tensor.data == nullptr || reinterpret_cast<std::uintptr_t>(tensor.data) % width != 0))
        throw UsageError("weights of a set of tensors are not at device memory aligned to " +
                         std::to_string(width) + " bytes");
    }
    gather();
  }

  void gather() {
    const Range range("afp::cuda::TensorSet");
    const std::size_t keys = kernels::keys_of(dtype);
    auto* const sums = memory.take_zeros<std::uint64_t>(tensors.size() * sums_of(dtype) * keys);
    auto* const largest = memory.take_zeros<unsigned int>(tensors.size());
    std::vector<kernels::StatisticsTensor> tasks;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      tables.push_back(tables_at(sums + t * sums_of(dtype) * keys, dtype, largest + t));
      tasks.push_back({static_cast<const std::byte*>(tensors[t].data), counts[t], tables[t]});
    }
    const ChunkList list(memory, counts, kernels::kStatisticsChunk);
    check(kernels::statistics({dtype, memory.upload(tasks), list.work, list.chunks, multiprocessors},
                              memory.stream()),
          kLaunching);
  }

  int multiprocessors;
  std::vector<Weights> tensors;
  DType dtype = DType::BF16;
  std::vector<std::uint64_t> counts;  // of weights
  std::vector<kernels::StatisticsTables> tables;
  Memory memory;
};

namespace {

// The costs of one objective: lays out the keys, and under kl and kl-seed the distributions.
class CostRun {
 public:
  CostRun(int multiprocessors, std::span<const Weights> tensors, std::span<const std::uint64_t> counts,
          std::span<const kernels::StatisticsTables> tables, Objective objective, cudaStream_t stream)
      : multiprocessors_(multiprocessors),
        tensors_(tensors),
        counts_(counts),
        tables_(tables),
        objective_(objective),
        dtype_(tensors[0].dtype),
        memory_(stream) {}

  TensorSetCosts run(std::span<const Encoding> candidates) {
    lay_out();
    for (std::size_t t = 0; t < facts_.size(); ++t)
      throw_if_nonfinite(facts_[t].nonfinite, "tensor " + std::to_string(t) + " of the set");
    if (objective_ != Objective::mse) distribute();

    std::vector<BlockCodec> codecs;
    for (const Encoding& encoding : candidates) codecs.push_back(block_codec({encoding, 1.0f}));
    const std::size_t results = tensors_.size() * candidates.size();
    auto* const costs = memory_.take<double>(results);
    auto* const scales = memory_.take<TensorScale>(results);
    check(kernels::tensor_costs({dtype_, objective_, memory_.upload(costed_), memory_.upload(codecs),
                                 static_cast<std::uint32_t>(tensors_.size()),
                                 static_cast<std::uint32_t>(candidates.size()), costs, scales},
                                memory_.stream()),
          kLaunching);
    TensorSetCosts found;
    found.best = best_of(costs, candidates.size());
    const std::vector<double> all_costs = memory_.download(costs, results);
    const std::vector<TensorScale> all_scales = memory_.download(scales, results);
    found.costs.resize(results);
    for (std::size_t i = 0; i < results; ++i) {
      if (all_scales[i].squared_error == std::numeric_limits<double>::infinity()) continue;
      TensorBlockCost& cost = found.costs[i].emplace();
      cost.cost = all_costs[i];
      cost.squared_error = all_scales[i].squared_error;
      cost.scale = all_scales[i];
    }
    return found;
  }

 private:
  bool is_float() const { return dtype_ == DType::F32; }

  void lay_out() {
    const bool needs_extent = objective_ == Objective::kl_seed || (objective_ == Objective::kl && is_float());
    Places sizes(nullptr);
    (void)take_key_arrays(sizes, dtype_, objective_);
    std::vector<kernels::KeyTensor> tasks;
    auto* const facts = memory_.take<kernels::KeyFacts>(tensors_.size());
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      Places places(memory_.take<std::byte>(sizes.bytes()));
      keys_.push_back(take_key_arrays(places, dtype_, objective_));
      keys_[t].facts = facts + t;  // side by side: they are read back at once
      kernels::RawExtent* extent = nullptr;
      if (needs_extent) extent = extent_of(memory_, tensors_[t], counts_[t], multiprocessors_);
      tasks.push_back({tables_[t], extent, objective_ == Objective::kl_seed, keys_[t]});
      costed_.push_back({keys_[t], nullptr, nullptr, 0});
    }
    check(kernels::lay_out_keys({dtype_, memory_.upload(tasks), static_cast<std::uint32_t>(tasks.size())},
                                memory_.stream()),
          kLaunching);
    facts_ = memory_.download(facts, tensors_.size());
  }

  // Weights within the limit where it is not the largest magnitude, which keys of F32 do not tell.
  std::uint64_t within(std::size_t t) {
    if (!is_float() || facts_[t].limit == facts_[t].absmax) return facts_[t].within;
    auto* const result = memory_.take_zeros<unsigned long long>(1);
    check(kernels::count_within({dtype_, static_cast<const std::byte*>(tensors_[t].data), counts_[t],
                                 facts_[t].limit, multiprocessors_, result},
                                memory_.stream()),
          kLaunching);
    return memory_.download(result, 1)[0];
  }

  void distribute() {
    std::vector<kernels::HistogramTensor> from_weights;
    std::vector<kernels::KeyHistogramTensor> from_keys;
    std::vector<kernels::ShareTensor> shares;
    std::vector<std::uint64_t> weights;
    std::uint32_t most_bins = 0;
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      if (facts_[t].absmax == 0.0f) continue;
      const LinearHistogram histogram(
          facts_[t].limit, LinearHistogram::square_root_rule(facts_[t].limit, facts_[t].smallest, within(t)));
      const auto bins = static_cast<std::uint32_t>(histogram.bins());
      most_bins = std::max(most_bins, bins);
      const float* const edges =
          memory_.upload(std::vector<float>(histogram.edges().begin(), histogram.edges().end()));
      auto* const bin_counts = memory_.take_zeros<unsigned long long>(bins);
      const kernels::HistogramTensor task{static_cast<const std::byte*>(tensors_[t].data),
                                          counts_[t],
                                          edges,
                                          bins,
                                          histogram.per_bin(),
                                          bin_counts};
      from_weights.push_back(task);
      from_keys.push_back({tables_[t].count, task});
      weights.push_back(counts_[t]);
      auto* const points = memory_.take<double>(bins);
      auto* const point_shares = memory_.take<double>(bins);
      shares.push_back({edges, bin_counts, bins, points, point_shares});
      costed_[t] = {keys_[t], points, point_shares, bins};
    }
    const auto count = static_cast<std::uint32_t>(shares.size());
    if (is_float()) {
      const ChunkList list(memory_, weights, kernels::kHistogramChunk);
      check(kernels::linear_histogram(
                {dtype_, memory_.upload(from_weights), list.work, list.chunks, most_bins, multiprocessors_},
                memory_.stream()),
            kLaunching);
    } else {
      check(kernels::key_histogram({dtype_, memory_.upload(from_keys), count}, memory_.stream()), kLaunching);
    }
    const double coordinate = objective_ == Objective::kl ? kBinCentre : kSeedCoordinate;
    check(kernels::magnitude_shares({memory_.upload(shares), count, coordinate}, memory_.stream()),
          kLaunching);
  }

  std::vector<std::uint32_t> best_of(const double* costs, std::size_t candidates) {
    const std::size_t segments = tensors_.size();
    std::vector<std::uint32_t> offsets;
    for (std::size_t t = 0; t <= segments; ++t) offsets.push_back(static_cast<std::uint32_t>(t * candidates));
    std::size_t bytes = 0;
    check(kernels::segmented_arg_min_bytes(segments, &bytes), "sizing a workspace");
    auto* const minima = memory_.take<kernels::SegmentMinimum>(segments);
    check(kernels::segmented_arg_min({memory_.take<std::byte>(bytes), bytes}, costs, memory_.upload(offsets),
                                     segments, minima, memory_.stream()),
          kLaunching);
    std::vector<std::uint32_t> best;
    for (const kernels::SegmentMinimum& minimum : memory_.download(minima, segments))
      best.push_back(minimum.index);
    return best;
  }

  int multiprocessors_;
  std::span<const Weights> tensors_;
  std::span<const std::uint64_t> counts_;
  std::span<const kernels::StatisticsTables> tables_;
  Objective objective_;
  DType dtype_;
  Memory memory_;
  std::vector<kernels::KeyArrays> keys_;
  std::vector<kernels::KeyFacts> facts_;
  std::vector<kernels::CostTensor> costed_;
};

}  // namespace

TensorSet::TensorSet(const Context& context, std::span<const Weights> tensors, StreamHandle stream)
    : state_(std::make_unique<State>(context, tensors, stream)) {}

TensorSet::~TensorSet() = default;

std::vector<Statistics> TensorSet::statistics() const {
  const DType dtype = state_->dtype;
  const std::size_t keys = kernels::keys_of(dtype);
  std::vector<Statistics> all;
  for (const kernels::StatisticsTables& tables : state_->tables) {
    const auto* const sums = reinterpret_cast<const std::uint64_t*>(tables.count);
    const std::vector<std::uint64_t> found = state_->memory.download(sums, sums_of(dtype) * keys);
    const std::span<const std::uint64_t> view(found);
    Statistics& statistics = all.emplace_back(dtype);
    if (dtype != DType::F32) {
      statistics.add_counts(0, view);
      continue;
    }
    const float largest = bits_float(state_->memory.download(tables.largest, 1)[0]);
    statistics.add_counts(0,
                          Statistics::WideCounts{view.subspan(0, keys), view.subspan(keys, keys),
                                                 view.subspan(2 * keys, keys), view.subspan(3 * keys, keys)},
                          largest);
  }
  return all;
}

TensorSetCosts TensorSet::costs(Objective objective, std::span<const Encoding> candidates) const {
  const Range range("afp::cuda::TensorSet::costs");
  if (candidates.empty()) throw UsageError("no candidate was given");
  for (const Encoding& encoding : candidates)
    if (encoding.block.kind != BlockKind::tensor)
      throw UsageError("the candidate " + to_string(encoding) + " has no tensor block");
  return CostRun(state_->multiprocessors, state_->tensors, state_->counts, state_->tables, objective,
                 state_->memory.stream())
      .run(candidates);
}

}  // namespace afp::cuda
