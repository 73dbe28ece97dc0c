// What every backend gathers for objectives and sums up from it: the definitions' integers and bits, on every
// SIMD target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

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

TEST(BackendStatistics, SumsOverKeysAreTheDefinition) {
  std::uint64_t seed = 0;
  for (const DType dtype : kDTypes)
    for (const Family family : sample::kFamilies) {
      const sample::Weights weights = sample::make(dtype, family, 700, ++seed);
      Statistics statistics(dtype);
      statistics.add(weights.bytes.data(), weights.values.size());
      const KeyTable keys(statistics);
      for (const Format format : reference::all_formats()) {
        std::vector<float> scales;
        const int first =
            keys.absmax == 0.0f ? 0 : std::clamp(std::ilogb(keys.absmax) - format.max_exponent(), -120, 120);
        for (int x = -4; x <= 2; ++x) {
          const int exponent = std::clamp(first + x, min_scale_exponent(format), max_scale_exponent(format));
          scales.push_back(exp2_int(exponent));
          if (dtype != DType::F32) scales.push_back(exp2_int(exponent) * 1.375f);
        }
        std::vector<KeyErrors> expected;
        for (const float scale : scales) expected.push_back(key_errors(keys, format, scale));
        for_each_backend(1, [&](const Backend& backend, const std::string& name) {
          std::vector<KeyErrors> found(scales.size());
          backend.score_keys(keys, format, scales, found);
          EXPECT_TRUE(found == expected)
              << name << " " << dtype_name(dtype) << " " << to_string(family) << " " << to_string(format);
        });
      }
      if (HasFailure()) return;
    }
}

TEST(BackendStatistics, DivergencesAreTheDefinition) {
  for (const std::size_t bins : {0u, 1u, 7u, 32u, 33u, 64u, 500u}) {
    std::vector<double> p(bins), q(bins);
    for (std::size_t i = 0; i < bins; ++i) {
      p[i] = i % 9 == 4 ? 0.0 : sample::uniform(1, i);
      q[i] = i % 7 == 3 ? 0.0 : i % 5 == 2 ? p[i] : sample::uniform(2, i);
    }
    const double expected = mean_divergence(p.data(), q.data(), bins);
    for_each_backend(1, [&](const Backend& backend, const std::string& name) {
      EXPECT_EQ(backend.mean_divergence(p, q), expected) << name << " " << bins;
    });
  }
}

}  // namespace
}  // namespace afp
