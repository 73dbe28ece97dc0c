// The original's divergences, averages, penalties and choices, as running it gave them
// (golden/seed_golden.json), and what is defined where it fails.
#include "afp/seed_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "afp/error.hpp"
#include "expect_error.hpp"
#include "reference.hpp"
#include "reference_kl.hpp"
#include "safetensors_bytes.hpp"
#include "sample.hpp"
#include "temp_folder.hpp"

namespace afp {
namespace {

constexpr double kTolerance = 1e-6;  // relative

const nlohmann::json& golden() {
  static const nlohmann::json values = [] {
    std::ifstream file(AFP_TEST_DATA "/golden/seed_golden.json");
    return nlohmann::json::parse(file);
  }();
  return values;
}

const Checkpoint& golden_tensors() {
  static const Checkpoint cases = Checkpoint::open(AFP_TEST_DATA "/golden/seed_cases.safetensors");
  return cases;
}

std::string key_of(SeedCandidate candidate) {
  return std::to_string(candidate.bits) + "," + std::to_string(candidate.exponent_bits);
}

SeedSweepOptions all_bits() {
  SeedSweepOptions options;
  options.candidates = seed_candidates(2, 8);
  return options;
}

std::vector<std::byte> bytes_of(const CheckpointTensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes());
  golden_tensors().read(tensor, 0, bytes);
  return bytes;
}

void expect_near(double found, double expected, const std::string& what) {
  EXPECT_LE(std::fabs(found - expected), kTolerance * std::fabs(expected)) << what << ": " << found;
}

TEST(SeedSearch, DivergencesAreTheOriginals) {
  const auto backend = make_cpu_backend(2);
  const SeedSweepOptions options = all_bits();
  const SeedSweep sweep = seed_sweep(*backend, golden_tensors(), options);
  ASSERT_EQ(sweep.tensors.size(), 10u);
  ASSERT_EQ(sweep.entries.size(), 35u);
  for (std::size_t t = 0; t < sweep.tensors.size(); ++t)
    for (std::size_t c = 0; c < sweep.entries.size(); ++c) {
      const std::string key = key_of(options.candidates[c]);
      expect_near(sweep.divergences[t * 35 + c], golden()["kl"][sweep.tensors[t]][key],
                  sweep.tensors[t] + " " + key);
    }
}

TEST(SeedSearch, AveragesPenaltiesAndChoicesAreTheOriginals) {
  const auto backend = make_cpu_backend(1);
  const SeedSweep all = seed_sweep(*backend, golden_tensors(), all_bits());
  for (const SeedSweep::Entry& entry : all.entries) {
    const std::string key = key_of(entry.candidate);
    EXPECT_EQ(entry.penalty, golden()["penalty"][key]) << key;
    expect_near(entry.average_kl, golden()["average_kl"][key], key);
  }
  const SeedSweep sweep = seed_sweep(*backend, golden_tensors());
  ASSERT_EQ(sweep.entries.size(), 33u);
  ASSERT_EQ(golden()["best"].size(), 11u);
  for (const auto& [exponent, best] : golden()["best"].items()) {
    const SeedChoice choice = best_seed_choice(sweep, std::stod(exponent));
    EXPECT_EQ(choice.candidate.bits, best["bits"]) << exponent;
    EXPECT_EQ(choice.candidate.exponent_bits, best["exponent_bits"]) << exponent;
    expect_near(choice.cost, best["cost"], exponent);
  }
}

TEST(SeedSearch, CostsCombinePenaltyAndDivergence) {
  const SeedSweep::Entry entry{{4, 2}, 0.03, hardware_penalty(2, 1)};
  EXPECT_EQ(entry.penalty, 4 + 1 + 2 + 4);
  EXPECT_EQ(hardware_penalty(0, 3), 1 + 3 + 9);
  EXPECT_NEAR(seed_cost(entry, 0.5), std::sqrt(11.0) * 0.3, 1e-14);
  EXPECT_DOUBLE_EQ(seed_cost(entry, 0.0), 0.3);
  EXPECT_NEAR(seed_annealing_cost(entry), 11 * std::pow(0.3, 4), 1e-15);
  // The first of equal ones.
  const SeedSweep sweep{{{{4, 1}, 0.2, 9}, {{4, 2}, 0.1, 11}, {{4, 3}, 0.1, 11}}, {}, {}};
  EXPECT_EQ(best_seed_choice(sweep, 1.0).candidate, (SeedCandidate{4, 2}));
}

TEST(SeedSearch, InMemoryFromAFileAndOnAnyThreadsItIsTheSame) {
  std::vector<std::vector<std::byte>> data;
  std::vector<TensorView> views;
  for (const CheckpointTensor& tensor : golden_tensors().tensors()) data.push_back(bytes_of(tensor));
  for (std::size_t t = 0; t < data.size(); ++t)
    views.push_back({golden_tensors().tensors()[t].name, DType::F32, data[t]});
  const SeedSweep first = seed_sweep(*make_cpu_backend(1), golden_tensors());
  for (const int threads : {1, 2, 3}) {
    const auto backend = make_cpu_backend(threads);
    SeedSweepOptions options;
    options.run.threads = threads;
    EXPECT_EQ(seed_sweep(*backend, views, options).divergences, first.divergences);
    EXPECT_EQ(seed_sweep(*backend, golden_tensors(), options).divergences, first.divergences);
  }
  EXPECT_EQ(model_cost(*make_cpu_backend(1), golden_tensors(), {5, 2}), [&] {
    for (const SeedSweep::Entry& entry : first.entries)
      if (entry.candidate == SeedCandidate{5, 2}) return entry.average_kl;
    return 0.0;
  }());
}

TEST(SeedSearch, AveragesOverWhatIsSelected) {
  const auto backend = make_cpu_backend(1);
  SeedSweepOptions options;
  options.candidates = {{4, 2}};
  options.selects = [](const TensorInfo& tensor) {
    return tensor.name == "gaussian" || tensor.name == "large";
  };
  const SeedSweep plain = seed_sweep(*backend, golden_tensors(), options);
  ASSERT_EQ(plain.tensors.size(), 2u);
  EXPECT_DOUBLE_EQ(plain.entries[0].average_kl, (plain.divergences[0] + plain.divergences[1]) / 2);
  options.weighted_by_size = true;
  const SeedSweep weighted = seed_sweep(*backend, golden_tensors(), options);
  const auto weights = [&](std::size_t t) {
    return static_cast<double>(golden_tensors().find(weighted.tensors[t])->elements());
  };
  EXPECT_DOUBLE_EQ(
      weighted.entries[0].average_kl,
      (weights(0) * plain.divergences[0] + weights(1) * plain.divergences[1]) / (weights(0) + weights(1)));
  options.selects = [](const TensorInfo&) { return false; };
  expect_error<UsageError>([&] { (void)seed_sweep(*backend, golden_tensors(), options); },
                           "no tensor is selected for the average");
}

// Any weights, F64 and several pieces a tensor among them, against the original's algorithm in long double.
TEST(SeedSearch, DivergencesAreThoseOfTheAlgorithm) {
  const auto backend = make_cpu_backend(1);
  std::uint64_t seed = 0;
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32})
    for (const sample::Family family : sample::kFamilies)
      for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{901}}) {
        const sample::Weights weights = sample::make(dtype, family, count, ++seed);
        const auto measurement = measure_tensor(*backend, Objective::kl_seed, dtype, weights.bytes);
        for (const SeedCandidate candidate : seed_candidates(2, 8)) {
          const reference::Real expected =
              reference::seed_divergence(weights.values, candidate.exponent_bits, candidate.mantissa_bits(),
                                         dtype == DType::F32 ? 0x1p-134L : 0);
          EXPECT_LE(
              std::fabs(measurement.seed_divergence(candidate.exponent_bits, candidate.mantissa_bits()) -
                        expected),
              1e-12L * std::fabs(expected) + 1e-15L)
              << dtype_name(dtype) << " " << to_string(family) << " " << count << " " << key_of(candidate);
        }
        if (HasFailure()) return;
      }
}

TEST(SeedSearch, WhereTheOriginalFailsItIsDefined) {
  const auto backend = make_cpu_backend(1);
  const auto divergence = [&](std::vector<float> values, int e, int m) {
    const sample::Weights weights = sample::weights_of(DType::F32, values);
    return measure_tensor(*backend, Objective::kl_seed, DType::F32, weights.bytes, "w").seed_divergence(e, m);
  };
  EXPECT_EQ(divergence({0.0f, -0.0f, 0.0f}, 2, 1), 0.0);
  EXPECT_EQ(divergence({}, 2, 1), 0.0);
  // Without positive weights, as if all were positive.
  const std::vector<float> negative = {-0.1f, -0.25f, -0.7f, -0.33f, -0.0f};
  std::vector<float> positive = negative;
  for (float& w : positive) w = -w;
  for (const SeedCandidate c : seed_candidates(2, 8))
    EXPECT_EQ(divergence(negative, c.exponent_bits, c.mantissa_bits()),
              divergence(positive, c.exponent_bits, c.mantissa_bits()));
  EXPECT_TRUE(std::isfinite(divergence({3e38f, -3e38f, 1e-44f}, 7, 0)));
  EXPECT_TRUE(std::isfinite(divergence({1.0f, std::nextafter(1.0f, 0.0f)}, 2, 1)));  // 2^20 bins at most
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  expect_error<InputError>(
      [&] {
        (void)divergence({1.0f, nan, -inf}, 2, 1);
      },
      "tensor 'w': has 2 NaN or infinite values; expected finite weights (a tensor that is "
      "kept may have them)");
  for (const auto& [e, m] : {std::pair{0, 0}, std::pair{8, 0}, std::pair{-1, 3}, std::pair{4, 4}})
    expect_error<UsageError>([&, e = e, m = m] { (void)divergence({1.0f}, e, m); },
                             "levels of " + std::to_string(e) + " exponent and " + std::to_string(m) +
                                 " mantissa bits; expected 1 to 7 bits in all");
  expect_error<UsageError>([] { (void)seed_candidates(3, 9); },
                           "N = 9, E = 0 is not a candidate; expected N in 2..8 and E in 0..N-1");
  expect_error<UsageError>([] { (void)seed_candidates(4, 3); }, "no candidates of (N, E) are given");
}

TEST(SeedSearch, ReadsFilesInPieces) {
  // Several pieces of 1 MiB, as F64 and as the same in F32.
  const std::uint64_t count = 150'000;
  std::string wide(count * 8, '\0'), narrow(count * 4, '\0');
  std::vector<float> values(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(0.1 * sample::gaussian(7, i));
    const double value = values[i];
    std::memcpy(wide.data() + 8 * i, &value, 8);
    std::memcpy(narrow.data() + 4 * i, &values[i], 4);
  }
  const TempFolder folder;
  const std::string json = R"({"w":{"dtype":"F64","shape":[3,2,100,250],"data_offsets":[0,1200000]},)"
                           R"("x":{"dtype":"F32","shape":[150,10,10,10],"data_offsets":[1200000,1800000]},)"
                           R"("none":{"dtype":"F32","shape":[0,1,1,1],"data_offsets":[1800000,1800000]}})";
  std::ofstream(folder.path() / "m.safetensors", std::ios::binary) << safetensors_bytes(json, wide + narrow);
  const Checkpoint input = Checkpoint::open(folder.path() / "m.safetensors");
  SeedSweepOptions options;
  options.candidates = {{4, 2}, {3, 0}};
  const SeedSweep sweep = seed_sweep(*make_cpu_backend(2), input, options);
  ASSERT_EQ(sweep.tensors.size(), 2u);
  for (std::size_t c = 0; c < 2; ++c) {
    EXPECT_EQ(sweep.divergences[c], sweep.divergences[2 + c]);
    const reference::Real expected = reference::seed_divergence(values, options.candidates[c].exponent_bits,
                                                                options.candidates[c].mantissa_bits());
    EXPECT_LE(std::fabs(sweep.divergences[c] - expected), 1e-11L * expected);
  }
  std::atomic<bool> stop = true;
  options.run.stop = &stop;
  EXPECT_THROW((void)seed_sweep(*make_cpu_backend(1), input, options), Interrupted);
}

}  // namespace
}  // namespace afp
