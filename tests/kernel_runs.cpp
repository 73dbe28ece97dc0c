// kernel_runs FILE: starts the kernels of kernels/FILE.cu on small, odd tensors, several blocks each, in
// several orders of threads and blocks, and prints "the same" if all orders gave the same bytes. Built with
// each sanitizer: ctest looks for that line and no other. (Whether results are right is what the tests of the
// kernels ask.)
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "afp/divergence.hpp"
#include "cuda_emulator.hpp"
#include "device_array.hpp"
#include "kernels/anneal.hpp"
#include "kernels/cost_cells.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/encode.hpp"
#include "kernels/extent.hpp"
#include "kernels/key_arrays.hpp"
#include "kernels/linear_histogram.hpp"
#include "kernels/primitives.hpp"
#include "kernels/score_segments.hpp"
#include "kernels/search_cells.hpp"
#include "kernels/search_rows.hpp"
#include "kernels/single_tensor.hpp"
#include "kernels/statistics.hpp"
#include "kernels/tensor_costs.hpp"
#include "kernels/weighted_errors.hpp"
#include "sample.hpp"

namespace afp {
namespace {

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
constexpr int kMultiprocessors = 2;

// What the kernels wrote, in one order.
class Results {
 public:
  template <class T>
  void add(const DeviceArray<T>& array) {
    const std::vector<T> values = array.read();
    const auto* const bytes = reinterpret_cast<const std::byte*>(values.data());
    bytes_.insert(bytes_.end(), bytes, bytes + values.size() * sizeof(T));
  }
  // Of structs with padding one member.
  template <class T, class Member>
  void add(const DeviceArray<T>& array, Member T::*member) {
    for (const T& value : array.read()) {
      const auto* const bytes = reinterpret_cast<const std::byte*>(&(value.*member));
      bytes_.insert(bytes_.end(), bytes, bytes + sizeof(Member));
    }
  }
  friend bool operator==(const Results&, const Results&) = default;

 private:
  std::vector<std::byte> bytes_;
};

template <class T>
DeviceArray<T> zeros(std::size_t size) {
  return DeviceArray<T>(std::vector<T>(size));
}

// Weights in device memory with nothing behind them, `shift` of them behind a boundary of 16 bytes.
class DeviceWeights {
 public:
  DeviceWeights(DType dtype, std::uint64_t count, std::size_t shift, std::uint64_t seed)
      : width_(static_cast<std::size_t>(kernels::weight_bytes(dtype))),
        count_(count),
        shift_(shift),
        bytes_(sample::make(dtype, seed % 2 == 0 ? sample::Family::special : sample::Family::heavy_tails,
                            count + shift, seed)
                   .bytes) {}
  const std::byte* data() const { return bytes_.data() + shift_ * width_; }
  std::uint64_t count() const { return count_; }

 private:
  std::size_t width_;
  std::uint64_t count_;
  std::size_t shift_;
  DeviceArray<std::byte> bytes_;
};

// --- Kernels that work on cells --------------------------------------------------------------------------

BlockCodec e8m0(int exponent_bits, int mantissa_bits) {
  const Format format{static_cast<std::uint8_t>(exponent_bits), static_cast<std::uint8_t>(mantissa_bits)};
  return {{format, format}, 1, ScaleKind::e8m0, 1.0f};
}
BlockCodec pair(Format first, Format second) {
  return {{first, second}, 2, ScaleKind::ue4m3, 0x1p-9f};
}
const BlockCodec kCodecs[] = {e8m0(2, 1), pair({1, 2}, {2, 1}), e8m0(4, 3), pair({2, 3}, {4, 1}), e8m0(1, 1)};

// A whole tensor of an odd number of columns, its strips shorter than real ones.
struct Case {
  BlockGrid grid;
  DType dtype;
  BlockCodec codec;
  std::uint64_t strip_cells;
  DeviceWeights weights;

  Case(Block block, const Shape& shape, std::uint64_t strip, std::uint64_t number)
      : grid(block, kCodecs[number % std::size(kCodecs)].bits(), shape),
        dtype(kDTypes[number % std::size(kDTypes)]),
        codec(kCodecs[number % std::size(kCodecs)]),
        strip_cells(strip),
        weights(dtype, grid.weights(), number % 2, number) {}

  CellRange cells() const { return {0, grid.cells()}; }
  kernels::DevicePiece piece() const { return {grid, cells(), dtype, weights.data()}; }
  std::size_t strips() const { return static_cast<std::size_t>(ceil_div(grid.cells(), strip_cells)); }
  // A byte for every block, about what weights near 2^-8 ask for.
  std::vector<std::uint8_t> scales() const {
    std::vector<std::uint8_t> bytes;
    for (std::uint64_t i = 0; i < grid.scale_count(); ++i)
      bytes.push_back(static_cast<std::uint8_t>(sample::bits(7, i) % 24 + (codec.is_e8m0() ? 108 : 40)));
    return bytes;
  }
};

Block small(int size) {
  return {BlockKind::small, size};
}
constexpr Block kRow{BlockKind::row, 0}, kTensor{BlockKind::tensor, 0};

// Blocks that are cells, of each size that threads hold alone or together: two strips, the first of more
// cells than a block of threads holds at once.
template <class Body>
void for_each_cell_case(const Body& body) {
  std::uint64_t number = 0;
  for (const auto& [block, columns, strip] : {std::tuple{small(16), 3271u, 290u},
                                              {small(32), 6561u, 290u},
                                              {small(64), 6415u, 150u},
                                              {small(128), 6401u, 80u},
                                              {kRow, 127u, 80u},
                                              {kRow, 31u, 300u}}) {
    const std::uint64_t rows = block.kind == BlockKind::small ? 2 : strip + 30;
    body(Case(block, {rows, columns}, strip, number++));
  }
}

void search_cells(Results& results) {
  for_each_cell_case([&](const Case& with) {
    DeviceArray<std::uint8_t> scales(with.grid.scale_count()), codes(with.grid.code_bytes());
    DeviceArray<StripSums> sums(with.strips());
    require_success(kernels::search_cells({with.piece(), with.strip_cells, with.codec, nullptr, Effort::exact,
                                           scales.data(), sums.data(), codes.data()},
                                          nullptr));
    results.add(scales);
    results.add(sums);
    results.add(codes);
  });
}

void cost_cells(Results& results) {
  for (const std::uint32_t one_in : {1u, 3u})
    for_each_cell_case([&](const Case& with) {
      kernels::CostCells task{with.piece(), with.strip_cells, {}, 4, Effort::fast, one_in, nullptr};
      const BlockCodec candidates[] = {e8m0(2, 1), e8m0(4, 0), e8m0(5, 2), e8m0(1, 4)};
      std::copy(std::begin(candidates), std::end(candidates), task.candidates);
      DeviceArray<StripSums> sums(4 * with.strips());
      task.sums = sums.data();
      require_success(kernels::cost_cells(task, nullptr));
      results.add(sums);
    });
}

void encode(Results& results) {
  std::uint64_t number = 0;
  for (const auto& [block, columns] :
       {std::pair{small(16), 3271u}, {small(64), 8192u}, {kRow, 3001u}, {kTensor, 8960u}, {kTensor, 3001u}}) {
    const Case with(block, {3, columns}, 1, ++number);
    const DeviceArray<std::uint8_t> scales(with.scales());
    DeviceArray<std::uint8_t> codes(with.grid.code_bytes());
    for (const std::uint32_t many_blocks : {4096u, 1u}) {
      require_success(kernels::encode(
          {with.piece(), with.codec, nullptr, scales.data(), codes.data(), many_blocks}, nullptr));
      results.add(codes);
    }
  }
}

void dequantize(Results& results) {
  std::uint64_t number = 0;
  for (const auto& [block, columns] :
       {std::pair{small(16), 3271u}, {small(64), 8192u}, {kRow, 3001u}, {kTensor, 8960u}, {kTensor, 3001u}}) {
    const Case with(block, {3, columns}, 1, ++number);
    const DeviceArray<std::uint8_t> scales(with.scales());
    std::vector<std::uint8_t> any(with.grid.code_bytes());
    for (std::size_t i = 0; i < any.size(); ++i) any[i] = static_cast<std::uint8_t>(sample::bits(3, i));
    const DeviceArray<std::uint8_t> codes(any);
    const DeviceArray<float> tensor_scale(std::vector<float>{0.25f});
    const auto width = static_cast<std::uint64_t>(kernels::weight_bytes(with.dtype));
    DeviceArray<std::byte> weights(with.grid.weights() * width);
    require_success(kernels::dequantize(
        {with.grid, with.cells(), with.codec, with.codec.is_e8m0() ? nullptr : tensor_scale.data(),
         scales.data(), codes.data(), with.dtype, weights.data()},
        nullptr));
    results.add(weights);
  }
}

void weighted_errors(Results& results) {
  std::uint64_t number = 0;
  for (const auto& [block, columns] :
       {std::pair{small(16), 3271u}, {small(128), 12'001u}, {kRow, 12'001u}, {kTensor, 12'001u}}) {
    const Case with(block, {2, columns}, kRow.kind == block.kind ? ceil_div(columns, kSegment) : 150,
                    ++number);
    std::vector<float> importance(columns);
    for (std::size_t i = 0; i < columns; ++i) importance[i] = static_cast<float>(sample::uniform(5, i));
    const DeviceArray<float> on_device(importance);
    const DeviceArray<std::uint8_t> scales(with.scales());
    DeviceArray<double> errors(with.strips());
    require_success(kernels::weighted_errors(
        {with.piece(), with.strip_cells, with.codec, scales.data(), on_device.data(), errors.data()},
        nullptr));
    results.add(errors);
  }
}

void score_segments(Results& results) {
  for (const std::uint64_t number : {1, 2}) {
    const Case with(kTensor, {3, 12'001}, 150, number);
    kernels::ScoreSegments task{with.piece(), with.strip_cells, 0x1p4f, {}, {}, 11, nullptr};
    for (int i = 0; i < task.count; ++i) {
      task.formats[i] = with.codec.formats[i % with.codec.format_count];
      task.scales[i] = 0.5f / static_cast<float>(i + 1);
    }
    DeviceArray<ScaleScore> scores(with.strips() * 11);
    task.scores = scores.data();
    require_success(kernels::score_segments(task, nullptr));
    results.add(scores);
  }
}

// Rows that a warp, a block, or no block holds; of the last, three tiles and a strip of cells.
void search_rows(Results& results) {
  std::uint64_t number = 0;
  for (const auto& [rows, columns] :
       {std::pair{37u, 131u}, {19u, 257u}, {9u, 1001u}, {3u, 1601u}, {2u, 5001u}, {2u, 25'001u}})
    for (const std::uint32_t one_in : {1u, 2u}) {
      const std::uint64_t cells = ceil_div(columns, kSegment);
      const Case with(kRow, {rows, columns}, 2 * cells, ++number);
      const bool is_e8m0 = with.codec.is_e8m0();
      kernels::SearchRows task{with.piece(), with.strip_cells, {},      is_e8m0 ? 2 : 1, nullptr,
                               one_in,       nullptr,          nullptr, nullptr};
      task.candidates[0] = with.codec;
      task.candidates[1] = e8m0(3, 2);
      const auto count = static_cast<std::size_t>(task.count);
      DeviceArray<std::uint8_t> scales(count * rows);
      DeviceArray<StripSums> row_sums(count * rows), sums(count * with.strips());
      if (one_in == 1) task.scales = scales.data();
      task.row_sums = row_sums.data();
      task.sums = sums.data();
      require_success(kernels::search_rows(task, nullptr));
      if (one_in == 1) results.add(scales);
      results.add(sums);
    }
}

// --- Kernels that work on whole tensors ------------------------------------------------------------------

// Two tensors in one launch: the first is of two chunks, so that one block has parts of both.
struct TensorPair {
  DType dtype;
  DeviceWeights weights[2];
  std::uint64_t chunks = 0;
  DeviceArray<std::uint64_t> first_chunk;

  TensorPair(DType dtype_, std::uint64_t chunk)
      : dtype(dtype_),
        weights{{dtype_, chunk + 3001, 3, 1}, {dtype_, 1501, 1, 2}},
        chunks(3),
        first_chunk(std::vector<std::uint64_t>{0, 2, 3}) {}
  kernels::WorkList work() const { return {first_chunk.data(), 2}; }
};

// The tables of two tensors.
struct TablePair {
  std::size_t keys;
  bool is_f32;
  DeviceArray<unsigned long long> sums;
  DeviceArray<unsigned> largest;

  explicit TablePair(DType dtype)
      : keys(kernels::keys_of(dtype)),
        is_f32(dtype == DType::F32),
        sums(zeros<unsigned long long>(2 * (is_f32 ? 4 : 1) * keys)),
        largest(zeros<unsigned>(2)) {}
  kernels::StatisticsTables of(std::size_t tensor) {
    if (!is_f32) return {sums.data() + tensor * keys, nullptr, nullptr, nullptr, nullptr};
    unsigned long long* const count = sums.data() + 4 * tensor * keys;
    return {count, count + keys, count + 2 * keys, count + 3 * keys, largest.data() + tensor};
  }
};

void gather(const TensorPair& tensors, TablePair& tables) {
  const DeviceArray<kernels::StatisticsTensor> list(std::vector<kernels::StatisticsTensor>{
      {tensors.weights[0].data(), tensors.weights[0].count(), tables.of(0)},
      {tensors.weights[1].data(), tensors.weights[1].count(), tables.of(1)}});
  require_success(kernels::statistics(
      {tensors.dtype, list.data(), tensors.work(), tensors.chunks, kMultiprocessors}, nullptr));
  require_success(cudaDeviceSynchronize());
}

template <DType kDType>
void statistics(Results& results) {
  const TensorPair tensors(kDType, kernels::kStatisticsChunk);
  TablePair tables(kDType);
  gather(tensors, tables);
  results.add(tables.sums);
  results.add(tables.largest);
}

void extent(Results& results) {
  for (const DType dtype : kDTypes) {
    // More vectors than a block of threads takes at once.
    const DeviceWeights weights(dtype, 20'007, 3, 2);
    DeviceArray<kernels::RawExtent> found(std::vector<kernels::RawExtent>(1));
    DeviceArray<float> scale(1);
    auto within = zeros<unsigned long long>(1);
    require_success(
        kernels::extent({dtype, weights.data(), weights.count(), kMultiprocessors, found.data()}, nullptr));
    require_success(kernels::tensor_scale({found.data(), 6.0f, scale.data()}, nullptr));
    require_success(kernels::count_within(
        {dtype, weights.data(), weights.count(), 0.375f, kMultiprocessors, within.data()}, nullptr));
    results.add(found);
    results.add(scale);
    results.add(within);
  }
}

std::vector<float> edges_of(float limit, std::uint32_t bins) {
  std::vector<float> edges;
  for (std::uint32_t i = 0; i < bins; ++i)
    edges.push_back(static_cast<float>(i * (static_cast<double>(limit) / bins)));
  edges.push_back(limit);
  return edges;
}

void linear_histogram(Results& results) {
  for (const DType dtype : kDTypes)
    for (const std::uint32_t bins :
         {501u, 50'001u}) {  // counted in shared memory, and where there is no room
      const TensorPair tensors(dtype, bins == 501 ? kernels::kHistogramChunk : 3);
      const DeviceArray<float> edges(edges_of(8.0f, bins));
      auto counts = zeros<unsigned long long>(2 * std::size_t{bins});
      std::vector<kernels::HistogramTensor> list;
      for (const DeviceWeights& weights : tensors.weights)
        list.push_back({weights.data(), weights.count(), edges.data(), bins, bins / 8.0,
                        counts.data() + list.size() * bins});
      const DeviceArray<kernels::HistogramTensor> on_device(list);
      const DeviceArray<std::uint64_t> single(std::vector<std::uint64_t>{0, 1, 2});
      const bool two_chunks = bins == 501;
      require_success(kernels::linear_histogram(
          {dtype, on_device.data(), two_chunks ? tensors.work() : kernels::WorkList{single.data(), 2},
           two_chunks ? tensors.chunks : 2, bins, kMultiprocessors},
          nullptr));
      results.add(counts);
    }
}

// The keys of a tensor, and room for what is laid out from them.
struct Keys {
  DeviceArray<kernels::KeyFacts> facts{1};
  DeviceArray<float> base;
  DeviceArray<double> count_base, count_inside, mean, spread;
  DeviceArray<std::uint64_t> prefix, on_base;
  bool is_f32;

  explicit Keys(DType dtype) : Keys(kernels::finite_keys_of(dtype), dtype == DType::F32) {}
  Keys(std::size_t keys, bool f32)
      : base(keys),
        count_base(keys),
        count_inside(f32 ? keys : 0),
        mean(f32 ? keys : 0),
        spread(f32 ? keys : 0),
        prefix(keys + 1),
        on_base(f32 ? keys : 0),
        is_f32(f32) {}
  kernels::KeyArrays arrays() {
    return {facts.data(), base.data(),   count_base.data(), count_inside.data(),
            mean.data(),  spread.data(), prefix.data(),     on_base.data()};
  }
};

// From one or two tensors of a type to what candidates cost them, and distributions of levels.
void measure(Results& results, DType dtype, Objective objective, std::uint32_t count) {
  constexpr std::uint32_t kBins = 1500;  // more than a block takes in one turn
  const TensorPair tensors(dtype, kernels::kStatisticsChunk);
  TablePair tables(dtype);
  gather(tensors, tables);
  Keys keys[2] = {Keys(dtype), Keys(dtype)};
  DeviceArray<kernels::RawExtent> found(std::vector<kernels::RawExtent>(count, kernels::RawExtent{}));
  std::vector<kernels::KeyTensor> list;
  for (std::size_t t = 0; t < count; ++t) {
    require_success(kernels::extent(
        {dtype, tensors.weights[t].data(), tensors.weights[t].count(), 1, found.data() + t}, nullptr));
    list.push_back({tables.of(t), found.data() + t, objective == Objective::kl_seed, keys[t].arrays()});
  }
  const DeviceArray<kernels::KeyTensor> key_list(list);
  require_success(kernels::lay_out_keys({dtype, key_list.data(), count}, nullptr));

  const DeviceArray<float> edges(edges_of(8.0f, kBins));
  auto counts = zeros<unsigned long long>(2 * kBins);
  DeviceArray<double> points(2 * kBins), shares(2 * kBins);
  std::vector<kernels::ShareTensor> share_list;
  std::vector<kernels::CostTensor> cost_list;
  std::vector<kernels::KeyHistogramTensor> histogram_list;
  for (std::size_t t = 0; t < count; ++t) {
    const std::size_t at = t * kBins;
    const kernels::HistogramTensor histogram{
        tensors.weights[t].data(), tensors.weights[t].count(), edges.data(), kBins, kBins / 8.0,
        counts.data() + at};
    histogram_list.push_back({tables.of(t).count, histogram});
    share_list.push_back({edges.data(), counts.data() + at, kBins, points.data() + at, shares.data() + at});
    cost_list.push_back({keys[t].arrays(), points.data() + at, shares.data() + at, kBins});
  }
  // (Of F32, whose weights a histogram takes one by one, any counts do here.)
  const DeviceArray<kernels::KeyHistogramTensor> histograms(histogram_list);
  require_success(
      kernels::key_histogram({dtype == DType::F32 ? DType::BF16 : dtype, histograms.data(), count}, nullptr));
  const DeviceArray<kernels::ShareTensor> on_device(share_list);
  require_success(kernels::magnitude_shares({on_device.data(), count, kBinCentre}, nullptr));

  const std::vector<BlockCodec> candidates = {e8m0(2, 1), e8m0(3, 4), pair({1, 2}, {2, 1}), e8m0(1, 0)};
  const DeviceArray<BlockCodec> codecs(candidates);
  const DeviceArray<kernels::CostTensor> costed(cost_list);
  const auto candidate_count = static_cast<std::uint32_t>(candidates.size());
  DeviceArray<double> costs(count * candidates.size());
  DeviceArray<TensorScale> scales(count * candidates.size());
  require_success(kernels::tensor_costs(
      {dtype, objective, costed.data(), codecs.data(), count, candidate_count, costs.data(), scales.data()},
      nullptr));
  for (Keys& key : keys) {
    results.add(key.base);
    results.add(key.prefix);
    results.add(key.on_base);
    results.add(key.spread);
  }
  results.add(counts);
  results.add(shares);
  results.add(costs);
  results.add(scales, &TensorScale::byte);
  results.add(scales, &TensorScale::squared_error);

  const DeviceArray<double> levels(std::vector<double>{0.0, 0.5, 1.0, 2.0, 0.0, 3.0}),
      level_shares(std::vector<double>{0.25, 0.5, 0.75, 1.0, 0.5, 1.0});
  const DeviceArray<std::uint32_t> first_level(std::vector<std::uint32_t>{0, 4, 6});
  DeviceArray<double> divergences(2);
  require_success(kernels::compare_shares({points.data(), shares.data(), kBins, levels.data(),
                                           level_shares.data(), first_level.data(), 2, divergences.data()},
                                          nullptr));
  results.add(divergences);
}

// (The turns of a thousand threads through all keys are what takes time here.)
void key_arrays(Results& results) {
  measure(results, DType::BF16, Objective::mse, 1);
  measure(results, DType::F32, Objective::kl_seed, 1);
}
void tensor_costs(Results& results) {
  measure(results, DType::BF16, Objective::kl, 2);
  measure(results, DType::F16, Objective::kl_seed, 1);
}

void single_tensor(Results& results) {
  DeviceArray<kernels::RawExtent> found(1);
  require_success(kernels::begin_extent(found.data(), nullptr));
  results.add(found);
  kernels::SingleTensor tensor{};
  tensor.first_chunk[1] = 5;
  DeviceArray<kernels::SingleTensor> written(1);
  require_success(kernels::write_tensor(tensor, written.data(), nullptr));
  results.add(written, &kernels::SingleTensor::first_chunk);
  const DeviceArray<TensorScale> chosen(std::vector<TensorScale>{{7, 0.5f, 1.0}});
  DeviceArray<std::uint8_t> byte(1);
  DeviceArray<float> scale(1);
  require_success(kernels::store_scale(chosen.data(), byte.data(), scale.data(), nullptr));
  require_success(kernels::store_scale(chosen.data(), byte.data(), nullptr, nullptr));
  results.add(byte);
  results.add(scale);
}

// --- The search, and algorithms --------------------------------------------------------------------------

// Two warps of chains, the second one of few lanes, among columns that may all follow each other.
void anneal(Results& results) {
  constexpr std::uint32_t kRows = 40, kColumns = 5, kChains = 35;
  std::vector<double> values;
  std::vector<std::uint64_t> bytes;
  std::vector<std::uint32_t> free_rows;
  for (std::uint32_t i = 0; i < kRows * kColumns; ++i) {
    values.push_back(sample::uniform(11, i));
    bytes.push_back(100 * (i % kColumns + 1));
    if (i < kRows) free_rows.push_back(i);
  }
  MovePlace place;
  place.column_count = kColumns;
  place.bits_count = 1;
  place.exponent_count[0] = 1;
  place.target[0] = 0;
  const DeviceArray<double> device_values(values);
  const DeviceArray<std::uint64_t> device_bytes(bytes);
  const DeviceArray<MovePlace> places(std::vector<MovePlace>{place});
  const DeviceArray<std::uint32_t> columns(std::vector<std::uint32_t>{0, 1, 2, 3, 4}), bridges(0),
      place_of(std::vector<std::uint32_t>(kColumns, 0)),
      neighbourhood_of(std::vector<std::uint32_t>(kRows, 0)), device_free_rows(free_rows);
  AnnealingProblem problem;
  problem.table = {device_values.data(), device_bytes.data(), kColumns, std::uint64_t{kRows} * 350};
  problem.moves = {places.data(), columns.data(), bridges.data(), place_of.data(), 1, kColumns, 0, kColumns};
  problem.rows = kRows;
  problem.neighbourhood_of = neighbourhood_of.data();
  problem.free_rows = device_free_rows.data();
  problem.free_row_count = kRows;
  problem.seed = 3;

  // All chains begin in the first column.
  std::vector<std::uint32_t> first(kRows);
  ChainState state;
  state.value = state.best_value = [&] {
    double sum = 0.0;
    for (std::size_t row = 0; row < kRows; ++row) sum += values[row * kColumns];
    return sum;
  }();
  state.bytes = std::uint64_t{kRows} * 100;
  DeviceArray<ChainState> states(std::vector<ChainState>(kChains, state));
  auto choices = zeros<std::uint32_t>(std::size_t{kRows} * kChains);
  auto best = zeros<std::uint32_t>(std::size_t{kRows} * kChains);
  for (const std::uint64_t step : {0u, 50u})
    require_success(kernels::anneal_chains(
        {problem, {0.02, 1e-4, 50}, step, step != 0, kChains, states.data(), choices.data(), best.data()},
        nullptr));
  results.add(states);
  results.add(choices);
  results.add(best);
}

void primitives(Results& results) {
  constexpr std::size_t kCount = 301;
  std::vector<std::uint64_t> values;
  std::vector<double> costs;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    values.push_back(sample::bits(13, i) % 50);
    costs.push_back(sample::uniform(14, i));
  }
  const DeviceArray<std::uint64_t> numbers(values);
  const DeviceArray<std::uint32_t> offsets(std::vector<std::uint32_t>{0, 1, 150, kCount});
  const DeviceArray<double> device_costs(costs);
  DeviceArray<std::uint64_t> sums(kCount);
  DeviceArray<kernels::SegmentMinimum> minima(3);
  std::size_t sum_bytes = 0, minimum_bytes = 0;
  require_success(kernels::exclusive_sum_bytes(kCount, &sum_bytes));
  require_success(kernels::segmented_arg_min_bytes(3, &minimum_bytes));
  DeviceArray<std::byte> for_sum(sum_bytes), for_minima(minimum_bytes);
  require_success(
      kernels::exclusive_sum({for_sum.data(), sum_bytes}, numbers.data(), sums.data(), kCount, nullptr));
  require_success(kernels::segmented_arg_min({for_minima.data(), minimum_bytes}, device_costs.data(),
                                             offsets.data(), 3, minima.data(), nullptr));
  results.add(sums);
  results.add(minima, &kernels::SegmentMinimum::index);
}

// By the names of the files in kernels.
const std::map<std::string_view, std::function<void(Results&)>> kRuns = {
    {"anneal", anneal},
    {"cost_cells", cost_cells},
    {"dequantize", dequantize},
    {"encode", encode},
    {"extent", extent},
    {"key_arrays", key_arrays},
    {"linear_histogram", linear_histogram},
    {"primitives", primitives},
    {"score_segments", score_segments},
    {"search_cells", search_cells},
    {"search_rows", search_rows},
    {"single_tensor", single_tensor},
    {"statistics", statistics<DType::BF16>},
    {"statistics_f16", statistics<DType::F16>},
    {"statistics_f32", statistics<DType::F32>},
    {"tensor_costs", tensor_costs},
    {"weighted_errors", weighted_errors},
};

int run(std::string_view name) {
  const auto found = kRuns.find(name);
  if (found == kRuns.end()) {
    std::printf("no run of kernels/%s.cu\n", std::string(name).c_str());
    return 2;
  }
  Results first;
  for (const std::uint64_t seed : {1u, 2u}) {
    cuda_emulator::config().seed = seed;
    Results results;
    found->second(results);
    if (seed == 1) first = results;
    if (!(results == first)) {
      std::printf("other results with seed %u\n", static_cast<unsigned>(seed));
      return 1;
    }
  }
  if (const std::string leaks = cuda_emulator::leaks(); !leaks.empty()) {
    std::printf("not freed:\n%s", leaks.c_str());
    return 1;
  }
  std::printf("the same\n");
  return 0;
}

}  // namespace
}  // namespace afp

int main(int argc, char** argv) {
  try {
    return afp::run(argc == 2 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::printf("exception: %s\n", error.what());
    return 1;
  }
}
