// What every backend gathers for objectives and sums up from it: the definitions' integers and bits, on every
// SIMD target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "afp/divergence.hpp"
#include "backends.hpp"
#include "quantized.hpp"
#include "reference.hpp"

namespace afp {
namespace {

using sample::Family;

constexpr DType kDTypes[] = {DType::BF16, DType::F16, DType::F32};

// Runs body(backend, name) for every backend and several numbers of threads.
template <class Body>
void for_each_backend(int most_threads, const Body& body) {
  for (const BackendCase& which : backend_cases(most_threads)) {
    const RunningBackend backend(which);
    body(*backend, which.name);
  }
}

// Weights of both signs, of one sign, with and without zeros, fewer than a register has and more than that.
TEST(BackendStatistics, ExtentOfAnyWeights) {
  for (const DType dtype : kDTypes)
    for (const std::uint64_t count : {1u, 3u, 31u, 64u, 1000u})
      for (const int sign : {-1, 0, 1}) {
        std::vector<float> values;
        for (std::uint64_t i = 0; i < count; ++i) {
          const auto w = static_cast<float>(sample::gaussian(count, i));
          values.push_back(sign == 0 ? w : static_cast<float>(sign) * (std::fabs(w) + 0.01f));
        }
        const sample::Weights weights = sample::weights_of(dtype, values);
        float largest = -100.0f, smallest = 100.0f;
        for (const float w : weights.values) {
          largest = std::max(largest, w);
          smallest = std::min(smallest, std::fabs(w));
        }
        const BlockGrid grid({BlockKind::tensor, 0}, 4, {count});
        for_each_backend(1, [&](const Backend& backend, const std::string& name) {
          const Extent extent = backend.extent({grid, {0, grid.cells()}, dtype, weights.bytes.data()});
          EXPECT_EQ(extent.largest, largest) << name << " " << count;
          EXPECT_EQ(extent.smallest_magnitude, smallest) << name << " " << count;
          EXPECT_EQ(extent.absmax, reference::absmax(weights.values)) << name << " " << count;
        });
      }
}

TEST(BackendStatistics, StatisticsOfF32AreTheDefinition) {
  // More weights than packed sums hold, all alike and all different, and every kind of weight.
  const std::uint64_t many = sample::kSlow ? 140'000 : 300'000;
  std::vector<std::vector<float>> sources = {std::vector<float>(many, 0.1f), std::vector<float>(many, 0.5f),
                                             std::vector<float>(many, -0.0f)};
  for (const Family family : sample::kFamilies)
    sources.push_back(sample::make(DType::F32, family, 2'003, 3).values);
  sources.push_back({1e-45f, 0.0f, -3e-42f, 1e-39f});
  std::vector<float>& patterns = sources.emplace_back();
  for (std::uint32_t i = 0; i < 5'000; ++i)
    patterns.push_back(bits_float(static_cast<std::uint32_t>(sample::bits(4, i))));  // NaN and infinities too
  for (const std::vector<float>& values : sources) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(values.data());
    Statistics expected(DType::F32);
    expected.add(bytes, values.size());
    const BlockGrid grid({BlockKind::tensor, 0}, 4, {values.size()});
    for_each_backend(2, [&](const Backend& backend, const std::string& name) {
      for (int again = 0; again < 2; ++again) {  // tables are used again
        Statistics found(DType::F32);
        backend.accumulate({grid, {0, grid.cells()}, DType::F32, bytes}, found);
        EXPECT_TRUE(found == expected) << name << " " << values.size() << " " << values[0];
      }
    });
  }
}

TEST(BackendStatistics, HistogramsAndCountsAreTheDefinition) {
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes)
    for (const Family family : sample::kFamilies)
      for (const std::uint64_t count : {5u, 1'001u, 300'000u}) {
        if (count > 2'000 && (family != Family::gaussian || sample::kSlow)) continue;
        sample::Weights weights = sample::make(dtype, family, count, ++seed);
        const float absmax = reference::absmax(weights.values);
        if (absmax == 0.0f) continue;
        const std::size_t width = weights.bytes.size() / count;
        if (count > 900) std::memset(weights.bytes.data() + 7 * width, 0xFF, width);  // a NaN: in no bin
        const BlockGrid grid({BlockKind::tensor, 0}, 4, {count});
        const Tensor tensor{parse_encoding("E2M1/tensor"), {count}, weights};
        for (const float limit : {absmax, absmax * 0.37f, absmax * 1e-3f}) {
          if (limit == 0.0f) continue;
          std::uint64_t within = 0;
          for (std::size_t i = 0; i < count; ++i)
            within += std::fabs(weights.values[i]) <= limit && !(count > 900 && i == 7);
          for (const std::uint64_t bins : {1u, 13u, 300u, 100'000u}) {
            if (bins > 1'000 && count != 1'001) continue;
            LinearHistogram expected(limit, bins);
            expected.add(dtype, weights.bytes.data(), count);
            for_each_backend(count > 2'000 ? 3 : 1, [&](const Backend& backend, const std::string& name) {
              LinearHistogram found(limit, bins);
              std::uint64_t counted = 0;
              for_each_piece(tensor, grid, {count > 2'000 ? 1u : 0u, true},
                             [&](const WeightPiece& piece, std::uint64_t, std::uint64_t) {
                               backend.accumulate(piece, found);
                               counted += backend.count_within(piece, limit);
                             });
              EXPECT_TRUE(found == expected) << name << " " << dtype_name(dtype) << " " << to_string(family)
                                             << " " << limit << " " << bins;
              EXPECT_EQ(counted, within) << name << " " << dtype_name(dtype) << " " << limit;
            });
          }
        }
        if (HasFailure()) return;
      }
}

// Weights on every edge, and beside it.
TEST(BackendStatistics, HistogramEdgesAreTheDefinitions) {
  for (const float limit : {1.0f, 0.7321f, 3e38f, 1e-39f})
    for (const std::uint64_t bins : {7u, 193u, 4'097u}) {
      LinearHistogram expected(limit, bins);
      std::vector<float> values;
      for (const float edge : expected.edges())
        for (const float w : {edge, std::nextafter(edge, 0.0f), -std::nextafter(edge, 3.4e38f)})
          values.push_back(w);
      const auto* const bytes = reinterpret_cast<const std::byte*>(values.data());
      expected.add(DType::F32, bytes, values.size());
      const BlockGrid grid({BlockKind::tensor, 0}, 4, {values.size()});
      for_each_backend(1, [&](const Backend& backend, const std::string& name) {
        LinearHistogram found(limit, bins);
        backend.accumulate({grid, {0, grid.cells()}, DType::F32, bytes}, found);
        EXPECT_TRUE(found == expected) << name << " " << limit << " " << bins;
      });
    }
}

// Every Format under both kinds of scale, and pairs.
std::vector<Encoding> tensor_candidates() {
  std::vector<Encoding> result;
  const Block tensor{BlockKind::tensor, 0};
  for (const Format format : reference::all_formats())
    for (const ScaleKind scale : {ScaleKind::e8m0, ScaleKind::ue4m3})
      result.push_back({format, std::nullopt, tensor, scale});
  for (const char* const pair : {"E1M2+E2M1", "E2M3+E4M1", "E1M6+E7M0", "E7M0+E1M6"})
    result.push_back(parse_encoding(std::string(pair) + "/tensor/ue4m3"));
  return result;
}

TEST(BackendStatistics, ScalesOfTensorsAreTheDefinition) {
  const std::vector<Encoding> candidates = tensor_candidates();
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes)
    for (const Family family : sample::kFamilies)
      for (const std::uint64_t count : {0u, 1u, 700u}) {
        const sample::Weights weights = sample::make(dtype, family, count, ++seed);
        Statistics statistics(dtype);
        statistics.add(weights.bytes.data(), weights.values.size());
        const KeyTable keys(statistics);
        std::vector<std::optional<TensorScale>> expected;
        for (const Encoding& encoding : candidates)
          expected.push_back(choose_tensor_scale(statistics, encoding));
        for_each_backend(1, [&](const Backend& backend, const std::string& name) {
          std::vector<std::optional<TensorScale>> found(candidates.size(), TensorScale{77});
          backend.choose_tensor_scales(keys, candidates, found);
          for (std::size_t c = 0; c < candidates.size(); ++c)
            EXPECT_EQ(found[c], expected[c]) << name << " " << dtype_name(dtype) << " " << to_string(family)
                                             << " " << to_string(candidates[c]);
        });
        if (HasFailure()) return;
      }
}

// Fewer levels and bins than a register has, and more; shares of zero, equal ones, points on levels and
// beyond the last.
TEST(BackendStatistics, DivergencesAreTheDefinition) {
  for (const std::size_t bins : {0u, 1u, 7u, 32u, 33u, 64u, 500u}) {
    MagnitudeShares magnitudes;
    for (std::size_t i = 0; i < bins; ++i) {
      magnitudes.points.push_back(i % 6 == 2 ? static_cast<double>(i)
                                             : static_cast<double>(i) + sample::uniform(1, i));
      magnitudes.shares.push_back(i % 9 == 4 ? 0.0 : sample::uniform(2, i));
    }
    std::vector<LevelShares> rounded;
    for (const std::size_t count : {1u, 2u, 8u, 127u, 128u}) {
      LevelShares& levels = rounded.emplace_back();
      double level = 0.0;
      for (std::size_t i = 0; i < count; ++i) {
        levels.levels.push_back(level);
        levels.shares.push_back(i < 3 || i % 11 == 4 ? 0.0 : sample::uniform(3, i));
        level += i % 4 == 1 ? 1.0 : 8.0 * sample::uniform(4, i);
      }
    }
    std::vector<double> expected;
    for (const LevelShares& levels : rounded) expected.push_back(divergence(magnitudes, levels));
    for_each_backend(1, [&](const Backend& backend, const std::string& name) {
      std::vector<double> found(rounded.size(), -1.0);
      backend.compare_shares(magnitudes, rounded, found);
      EXPECT_EQ(found, expected) << name << " " << bins;
    });
  }
}

}  // namespace
}  // namespace afp
