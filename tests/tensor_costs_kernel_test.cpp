// The kernels behind the costs of tensor blocks, emulated, against the CPU backend's costs: the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "afp/tensor_costs.hpp"
#include "device_array.hpp"
#include "kernels/key_arrays.hpp"
#include "kernels/tensor_costs.hpp"
#include "reference.hpp"
#include "sample.hpp"

namespace afp {
namespace {

using sample::Family;
using sample::Weights;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};
constexpr Objective kObjectives[] = {Objective::mse, Objective::kl, Objective::kl_seed};

// Arrays in device memory as long as this lives.
class DeviceArrays {
 public:
  template <class T>
  T* upload(const std::vector<T>& values) {
    auto array = std::make_shared<DeviceArray<T>>(values);
    arrays_.push_back(array);
    return array->data();
  }
  template <class T>
  T* make(std::size_t size, T value = {}) {
    return upload(std::vector<T>(size, value));
  }

 private:
  std::vector<std::shared_ptr<void>> arrays_;
};

template <class T>
std::vector<T> download(const T* data, std::size_t size) {
  require_success(cudaDeviceSynchronize());
  std::vector<T> values(size);
  if (size != 0) require_success(cudaMemcpy(values.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost));
  return values;
}

std::vector<Encoding> candidates() {
  std::vector<Encoding> result;
  const Block tensor{BlockKind::tensor, 0};
  for (const Format format : reference::all_formats()) {
    result.push_back({format, std::nullopt, tensor, ScaleKind::e8m0});
    if (format.bits() % 3 == 1) result.push_back({format, std::nullopt, tensor, ScaleKind::ue4m3});
  }
  for (const char* const pair : {"E1M2+E2M1", "E2M3+E4M1", "E1M6+E7M0"})
    result.push_back(parse_encoding(std::string(pair) + "/tensor/ue4m3"));
  return result;
}

std::vector<BlockCodec> codecs_of(const std::vector<Encoding>& encodings) {
  std::vector<BlockCodec> codecs;
  for (const Encoding& encoding : encodings) codecs.push_back(block_codec({encoding}));
  return codecs;
}

kernels::StatisticsTables tables_of(DeviceArrays& arrays, const Statistics& statistics) {
  const bool is_f32 = statistics.dtype() == DType::F32;
  const std::size_t keys = kernels::keys_of(statistics.dtype());
  std::vector<unsigned long long> count(keys), base(keys), sum(keys), squares(keys);
  const auto take = [&](std::size_t key) {
    const Statistics::Key values = statistics.key(key);
    count[key] = values.count;
    base[key] = values.count_base;
    sum[key] = values.sum_r;
    squares[key] = values.sum_r2;
  };
  take(0);
  for (std::size_t key = statistics.first_key(); key < statistics.end_key(); ++key) take(key);
  if (!is_f32) return {arrays.upload(count), nullptr, nullptr, nullptr, nullptr};
  const std::vector<unsigned> largest = {float_bits(statistics.absmax())};
  return {arrays.upload(count), arrays.upload(base), arrays.upload(sum), arrays.upload(squares),
          arrays.upload(largest)};
}

kernels::KeyArrays key_arrays(DeviceArrays& arrays, DType dtype, bool with_sums) {
  const std::size_t keys = kernels::finite_keys_of(dtype);
  const bool is_f32 = dtype == DType::F32;
  kernels::KeyArrays result;
  result.facts = arrays.make<kernels::KeyFacts>(1);
  result.base = arrays.make(keys, -1.0f);
  result.count_base = arrays.make(keys, -1.0);
  if (is_f32) {
    result.count_inside = arrays.make(keys, -1.0);
    result.mean = arrays.make(keys, -1.0);
    result.spread = arrays.make(keys, -1.0);
  }
  if (!with_sums) return result;
  result.prefix = arrays.make(keys + 1, ~std::uint64_t{0});
  if (is_f32) result.on_base = arrays.make(keys, ~std::uint64_t{0});
  return result;
}

kernels::RawExtent raw_extent(const Extent& extent) {
  kernels::RawExtent raw;
  raw.absmax = float_bits(extent.absmax);
  raw.smallest_magnitude = float_bits(extent.smallest_magnitude);
  raw.largest = kernels::ordered_of(float_bits(extent.largest));
  return raw;
}

// The slots of groups that hold other weights than zeros.
std::vector<std::vector<double>> slot_rows(const KeySlots& slots) {
  std::vector<std::vector<double>> rows;
  for (std::size_t i = slots.count != 0 && slots.base[0] == 0.0f ? kSumLanes : 0; i < slots.count; ++i) {
    std::vector<double>& row = rows.emplace_back();
    row = {static_cast<double>(slots.base[i]), slots.count_base[i]};
    if (slots.mean != nullptr) row.insert(row.end(), {slots.count_inside[i], slots.mean[i], slots.spread[i]});
  }
  return rows;
}

void expect_slots(const kernels::KeyArrays& keys, std::size_t slots, const KeyTable& expected) {
  const std::vector<float> base = download(keys.base, slots);
  const std::vector<double> count_base = download(keys.count_base, slots);
  std::vector<double> inside, mean, spread;
  KeySlots found{slots, base.data(), count_base.data()};
  if (keys.mean != nullptr) {
    inside = download(keys.count_inside, slots);
    mean = download(keys.mean, slots);
    spread = download(keys.spread, slots);
    found.count_inside = inside.data();
    found.mean = mean.data();
    found.spread = spread.data();
  }
  EXPECT_EQ(slot_rows(found), slot_rows(expected.view()));
}

// All tensors of one dtype: from their tables to their costs.
void expect_costs(const Backend& backend, DType dtype, Objective objective,
                  const std::vector<Weights>& tensors, const std::vector<Encoding>& space) {
  const bool is_f32 = dtype == DType::F32, is_mse = objective == Objective::mse;
  DeviceArrays arrays;
  std::vector<TensorMeasurement> measurements;
  std::vector<kernels::KeyTensor> keys;
  for (const Weights& weights : tensors) {
    measurements.push_back(measure_tensor(backend, objective, dtype, weights.bytes));
    const BlockGrid grid({BlockKind::tensor, 0}, 4, {weights.values.size()});
    const Extent extent = backend.extent({grid, {0, grid.cells()}, dtype, weights.bytes.data()});
    const bool has_extent = objective == Objective::kl_seed || (objective == Objective::kl && is_f32);
    keys.push_back({tables_of(arrays, measurements.back().statistics()),
                    has_extent ? arrays.upload<kernels::RawExtent>({raw_extent(extent)}) : nullptr,
                    objective == Objective::kl_seed, key_arrays(arrays, dtype, !is_mse)});
  }
  const auto count = static_cast<std::uint32_t>(tensors.size());
  require_success(kernels::lay_out_keys({dtype, arrays.upload(keys), count}, nullptr));

  std::vector<kernels::CostTensor> costed;
  std::vector<kernels::KeyHistogramTensor> histograms;
  std::vector<kernels::ShareTensor> shares;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    SCOPED_TRACE(t);
    const Statistics& statistics = measurements[t].statistics();
    const kernels::KeyFacts facts = download(keys[t].keys.facts, 1)[0];
    EXPECT_EQ(facts.absmax, statistics.absmax());
    EXPECT_EQ(facts.weights, statistics.count());
    EXPECT_EQ(facts.zeros, statistics.zeros());
    EXPECT_EQ(facts.nonfinite, statistics.nonfinite());
    expect_slots(keys[t].keys, facts.slots, KeyTable(statistics));
    const LinearHistogram* const expected = measurements[t].histogram();
    kernels::CostTensor& tensor = costed.emplace_back(kernels::CostTensor{keys[t].keys, nullptr, nullptr, 0});
    if (expected == nullptr) continue;
    ASSERT_EQ(facts.limit, expected->limit());
    std::uint64_t within = 0;
    for (const std::uint64_t in_bin : expected->counts()) within += in_bin;
    if (!is_f32 || facts.limit == facts.absmax) {
      ASSERT_EQ(facts.within, within);
    }
    ASSERT_EQ(LinearHistogram::square_root_rule(facts.limit, facts.smallest, within), expected->bins());
    const auto bins = static_cast<std::uint32_t>(expected->bins());
    const std::vector<float> edges(expected->edges().begin(), expected->edges().end());
    const std::vector<unsigned long long> counts(expected->counts().begin(), expected->counts().end());
    kernels::ShareTensor share{arrays.upload(edges), nullptr, bins, arrays.make(bins, -1.0),
                               arrays.make(bins, -1.0)};
    if (is_f32) {
      share.counts = arrays.upload(counts);
    } else {
      unsigned long long* const device_counts = arrays.make<unsigned long long>(bins);
      share.counts = device_counts;
      histograms.push_back(
          {keys[t].tables.count, {nullptr, 0, share.edges, bins, expected->per_bin(), device_counts}});
    }
    shares.push_back(share);
    tensor = {keys[t].keys, share.points, share.shares, bins};
  }
  require_success(kernels::key_histogram(
      {dtype, arrays.upload(histograms), static_cast<std::uint32_t>(histograms.size())}, nullptr));
  require_success(kernels::magnitude_shares({arrays.upload(shares), static_cast<std::uint32_t>(shares.size()),
                                             objective == Objective::kl ? kBinCentre : kSeedCoordinate},
                                            nullptr));
  std::size_t at = 0;
  for (const TensorMeasurement& measurement : measurements) {
    if (measurement.histogram() == nullptr) continue;
    const std::span<const std::uint64_t> expected = measurement.histogram()->counts();
    const auto found = download(shares[at++].counts, expected.size());
    EXPECT_TRUE(std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
  }

  const std::size_t results = tensors.size() * space.size();
  double* const costs = arrays.make(results, -1.0);
  TensorScale* const scales = arrays.make<TensorScale>(results);
  require_success(
      kernels::tensor_costs({dtype, objective, arrays.upload(costed), arrays.upload(codecs_of(space)), count,
                             static_cast<std::uint32_t>(space.size()), costs, scales},
                            nullptr));
  const std::vector<double> found = download(costs, results);
  const std::vector<TensorScale> found_scales = download(scales, results);
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const auto expected = tensor_block_costs(measurements[t], space);
    for (std::size_t c = 0; c < space.size(); ++c) {
      const std::size_t i = t * space.size() + c;
      const double none = std::numeric_limits<double>::infinity();
      EXPECT_EQ(found[i], expected[c] ? expected[c]->cost : none) << t << " " << to_string(space[c]);
      EXPECT_EQ(found_scales[i], expected[c] ? expected[c]->scale : (TensorScale{0, 1.0f, none}))
          << t << " " << to_string(space[c]);
    }
  }
}

TEST(TensorCostsKernel, EqualTheCpuBackend) {
  const auto backend = make_cpu_backend(1);
  const std::vector<Encoding> space = candidates();
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes) {
    std::vector<Weights> tensors;
    for (const Family family : sample::kFamilies)
      for (const std::uint64_t count : {1u, 30u, 601u})
        if (!sample::kSlow || count == 30) tensors.push_back(sample::make(dtype, family, count, ++seed));
    tensors.push_back(sample::weights_of(dtype, std::vector<float>{0.0f, -0.0f}));  // zeros
    tensors.push_back(sample::weights_of(dtype, std::vector<float>{}));
    tensors.push_back(sample::weights_of(dtype, std::vector<float>{0.5f, 0.5f, -0.5f}));
    tensors.push_back(sample::weights_of(dtype, std::vector<float>{0.0f, 1e-44f, -3e-42f, 1e-39f, 0.0f}));
    tensors.push_back(sample::weights_of(dtype, std::vector<float>{-1.0f, 0.25f, 0.0f, -0.2f}));
    std::vector<float> tiny = sample::make(dtype, Family::tiny, 400, 9).values;  // with zeros between
    for (std::size_t i = 0; i < tiny.size(); i += 3) tiny[i] = 0.0f;
    tensors.push_back(sample::weights_of(dtype, tiny));
    for (const Objective objective : kObjectives) {
      SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + std::string(to_string(objective)));
      expect_costs(*backend, dtype, objective, tensors, space);
      if (HasFailure()) return;
    }
  }
}

// More bins than a block takes at a time, and more than a tile of them; more weights a key than 32 bits of
// squares hold.
TEST(TensorCostsKernel, EqualTheCpuBackendOnManyWeights) {
  const auto backend = make_cpu_backend(1);
  const std::uint64_t count = sample::kSlow ? 20'000 : 1'500'000;
  const std::vector<Encoding> space = {parse_encoding("E2M1/tensor/e8m0"), parse_encoding("E1M6/tensor/e8m0"),
                                       parse_encoding("E1M2+E2M1/tensor/ue4m3")};
  for (const DType dtype : kDTypes)
    for (const Objective objective : kObjectives) {
      std::vector<float> alike(sample::kSlow ? 9'000 : 400'000, 0.1f);
      for (std::size_t i = 0; i < alike.size(); ++i) alike[i] += 1e-8f * static_cast<float>(i % 5);
      alike.push_back(-0.004f);
      SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + std::string(to_string(objective)));
      expect_costs(*backend, dtype, objective,
                   {sample::make(dtype, Family::gaussian, count, 5), sample::weights_of(dtype, alike)},
                   space);
      if (HasFailure()) return;
    }
}

// So small that the original's levels are rounded, and that all keys but the first are empty.
TEST(TensorCostsKernel, EqualTheCpuBackendOnTheSmallestWeights) {
  const auto backend = make_cpu_backend(1);
  const std::vector<Encoding> space = {parse_encoding("E1M6/tensor/e8m0"), parse_encoding("E1M4/tensor/e8m0"),
                                       parse_encoding("E2M4/tensor/e8m0"), parse_encoding("E3M4/tensor/e8m0"),
                                       parse_encoding("E7M0/tensor/e8m0")};
  std::vector<Weights> tensors;
  for (std::uint32_t most = 1; most < 32; ++most) {
    std::vector<float> steps;
    for (std::uint32_t i = most / 3; i <= most; ++i) steps.push_back(bits_float(i));
    tensors.push_back(sample::weights_of(DType::F32, steps));
  }
  expect_costs(*backend, DType::F32, Objective::kl_seed, tensors, space);
}

// Threads, blocks and launches in any order; so narrow a range of magnitudes has many bins.
TEST(TensorCostsKernel, EqualTheCpuBackendInAnyOrder) {
  const auto backend = make_cpu_backend(1);
  const std::vector<Encoding> space = {parse_encoding("E3M0/tensor/e8m0"),
                                       parse_encoding("E1M2+E2M1/tensor/ue4m3")};
  std::vector<float> narrow;
  for (std::uint64_t i = 0; i < 5'000; ++i)
    narrow.push_back(static_cast<float>(0.98 + 0.02 * sample::uniform(3, i)));
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cuda_emulator::config().seed = seed;
    for (const DType dtype : {DType::BF16, DType::F32})
      for (const Objective objective : {Objective::kl, Objective::kl_seed})
        expect_costs(*backend, dtype, objective,
                     {sample::make(dtype, Family::gaussian, 500, seed), sample::weights_of(dtype, narrow)},
                     space);
    if (HasFailure()) break;
  }
  cuda_emulator::config().seed = 0;
}

// Keys of NaN and infinities are counted, and take no other part.
TEST(TensorCostsKernel, KeysOfNonfiniteWeightsAreSetAside) {
  for (const DType dtype : kDTypes) {
    const float infinity = std::numeric_limits<float>::infinity();
    std::vector<float> values = {1.0f, infinity, -infinity, 0.0f, 0.3f, 2.0f};
    if (dtype != DType::F32) values = {1.0f, 0.0f, 0.3f, 2.0f};
    Weights weights = sample::weights_of(dtype, values);
    if (dtype != DType::F32)  // float32 to 16 bits saturates
      for (int i = 0; i < 2; ++i) weights.bytes.insert(weights.bytes.end(), 2, std::byte{0xFF});
    Statistics statistics(dtype);
    statistics.add(weights.bytes.data(), 6);
    DeviceArrays arrays;
    kernels::StatisticsTables tables = tables_of(arrays, statistics);
    std::vector<unsigned long long> counts = download(tables.count, kernels::keys_of(dtype));
    counts[kernels::finite_keys_of(dtype)] += 1;
    counts.back() += 1;
    tables.count = arrays.upload(counts);
    const kernels::KeyArrays keys = key_arrays(arrays, dtype, true);
    require_success(kernels::lay_out_keys(
        {dtype, arrays.upload<kernels::KeyTensor>({{tables, nullptr, false, keys}}), 1}, nullptr));
    const kernels::KeyFacts facts = download(keys.facts, 1)[0];
    EXPECT_EQ(facts.nonfinite, 2u);
    EXPECT_EQ(facts.weights, 4u);
    EXPECT_EQ(facts.absmax, 2.0f);
    EXPECT_EQ(facts.smallest, 0.0f);
    EXPECT_EQ(download(keys.prefix + kernels::finite_keys_of(dtype), 1)[0], 3u);
    expect_slots(keys, facts.slots, KeyTable(statistics));
  }
}

// The scan alone, fed with a KeyTable's arrays.
TEST(TensorCostsKernel, ScalesFromAKeyTable) {
  const auto backend = make_cpu_backend(1);
  const std::vector<Encoding> space = candidates();
  for (const DType dtype : kDTypes)
    for (const Family family : {Family::gaussian, Family::special}) {
      const Weights weights = sample::make(dtype, family, 300, 77);
      Statistics statistics(dtype);
      statistics.add(weights.bytes.data(), 300);
      const KeyTable table(statistics);
      DeviceArrays arrays;
      kernels::KeyFacts facts;
      facts.absmax = table.absmax;
      facts.slots = static_cast<std::uint32_t>(table.slots());
      kernels::CostTensor tensor{};
      tensor.keys.facts = arrays.upload<kernels::KeyFacts>({facts});
      tensor.keys.base = arrays.upload(table.base);
      tensor.keys.count_base = arrays.upload(table.count_base);
      const bool has_inside = table.has_inside();  // else these are not to be read
      const std::vector<double> poison(table.slots(), 1e9);
      tensor.keys.count_inside = arrays.upload(has_inside ? table.count_inside : poison);
      tensor.keys.mean = arrays.upload(has_inside ? table.mean : poison);
      tensor.keys.spread = arrays.upload(has_inside ? table.spread : poison);
      double* const costs = arrays.make<double>(space.size());
      TensorScale* const scales = arrays.make<TensorScale>(space.size());
      require_success(kernels::tensor_costs(
          {dtype, Objective::mse, arrays.upload<kernels::CostTensor>({tensor}),
           arrays.upload(codecs_of(space)), 1, static_cast<std::uint32_t>(space.size()), costs, scales},
          nullptr));
      std::vector<std::optional<TensorScale>> expected(space.size());
      backend->choose_tensor_scales(table, space, expected);
      const std::vector<TensorScale> found = download(scales, space.size());
      for (std::size_t c = 0; c < space.size(); ++c) {
        if (!expected[c]) continue;
        EXPECT_EQ(found[c], *expected[c]) << to_string(space[c]);
      }
    }
}

TEST(TensorCostsKernel, DivergencesOfGivenLevels) {
  const auto backend = make_cpu_backend(1);
  for (const std::size_t bins : {0u, 1u, 31u, 256u, 257u, 1'100u}) {
    MagnitudeShares magnitudes;
    for (std::size_t i = 0; i < bins; ++i) {
      magnitudes.points.push_back(static_cast<double>(i) + (i % 6 == 2 ? 0.0 : sample::uniform(1, i)));
      magnitudes.shares.push_back(i % 9 == 4 ? 0.0 : sample::uniform(2, i));
    }
    std::vector<LevelShares> rounded;
    std::vector<double> levels, shares;
    std::vector<std::uint32_t> first = {0};
    for (const std::size_t count : {1u, 2u, 33u, 127u, 128u}) {
      LevelShares& one = rounded.emplace_back();
      double level = 0.0;
      for (std::size_t i = 0; i < count; ++i) {
        one.levels.push_back(level);
        one.shares.push_back(i < 3 || i % 11 == 4 ? 0.0 : sample::uniform(3, i));
        level += i % 4 == 1 ? 1.0 : 16.0 * sample::uniform(4, i);
      }
      levels.insert(levels.end(), one.levels.begin(), one.levels.end());
      shares.insert(shares.end(), one.shares.begin(), one.shares.end());
      first.push_back(static_cast<std::uint32_t>(levels.size()));
    }
    DeviceArrays arrays;
    double* const divergences = arrays.make(rounded.size(), -1.0);
    require_success(kernels::compare_shares(
        {arrays.upload(magnitudes.points), arrays.upload(magnitudes.shares), static_cast<std::uint32_t>(bins),
         arrays.upload(levels), arrays.upload(shares), arrays.upload(first),
         static_cast<std::uint32_t>(rounded.size()), divergences},
        nullptr));
    std::vector<double> expected(rounded.size());
    backend->compare_shares(magnitudes, rounded, expected);
    EXPECT_EQ(download(divergences, rounded.size()), expected) << bins;
  }
}

}  // namespace
}  // namespace afp
