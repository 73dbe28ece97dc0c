// The question that the original AFP code asks (ICCV 2021): one number of bits N and of exponent bits E for a
// whole model, by its divergence (objective kl-seed) and a penalty for the hardware that the Format needs.
//
// Its levels for E exponent and M = N - 1 - E mantissa bits, with r_j = 1 + j / 2^M and r the largest of
// them:
//
//     upper = ceil(log2(absmax / r)), or ceil(log2(r - 1)) for E = 0;  lower = upper + 1 - 2^E
//     2 * 2^lower * (r_j - 1), then 2^i * r_j for i = lower + 1 .. upper
//
// Where the original fails, this holds: a tensor of zeros costs 0; of a tensor without positive weights the
// histogram reaches to the largest magnitude; NaN and infinities are an InputError; E = M = 0 is a
// UsageError. A histogram has 2^20 bins at most (the original has more, and may run out of memory, where all
// magnitudes of a tensor are nearly equal). Of F32 weights thresholds between levels below 2^-126 are rounded
// down to a multiple of 2^-134, as fine as their Statistics are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/checkpoint.hpp"
#include "afp/progress.hpp"
#include "afp/tensor_costs.hpp"

namespace afp {

struct SeedCandidate {
  int bits = 4;           // N
  int exponent_bits = 2;  // E, 0 .. N - 1

  int mantissa_bits() const { return bits - 1 - exponent_bits; }
  friend bool operator==(const SeedCandidate&, const SeedCandidate&) = default;
};

// Every (N, E) with N = least_bits .. most_bits and E = 0 .. N - 1, in that order: 33 by default.
std::vector<SeedCandidate> seed_candidates(int least_bits = 3, int most_bits = 8);

// What the multiplier of a Format takes: 2^E + M + E + ((E > 0) + M)^2.
constexpr int hardware_penalty(int exponent_bits, int mantissa_bits) {
  const int significand = (exponent_bits > 0 ? 1 : 0) + mantissa_bits;
  return (1 << exponent_bits) + mantissa_bits + exponent_bits + significand * significand;
}

// The penalty to the power `exponent`, 0 to kMostPenaltyExponent: what costs are multiplied by.
inline constexpr double kMostPenaltyExponent = 100.0;
double penalty_factor(int penalty, double exponent);

// A tensor in memory, as in a file: BF16, F16 or F32.
struct TensorView {
  std::string name;
  DType dtype = DType::F32;
  std::span<const std::byte> weights;
};

struct SeedSweepOptions {
  std::vector<SeedCandidate> candidates = seed_candidates();
  // The mean over tensors: each counts once, as in the original, or as often as it has weights.
  bool weighted_by_size = false;
  // Of a checkpoint: which of its quantizable tensors count; by default, as in the original, those of rank 4.
  std::function<bool(const TensorInfo&)> selects;
  RunOptions run;  // threads and stop
};

struct SeedSweep {
  struct Entry {
    SeedCandidate candidate;
    double average_kl = 0.0;
    int penalty = 0;
  };
  std::vector<Entry> entries;        // in the order of the candidates
  std::vector<std::string> tensors;  // that were measured
  std::vector<double> divergences;   // [tensor][candidate]
};

// Measures every candidate on every tensor; the same bits on any number of threads. Throws InputError that
// names the tensor for weights that are not finite, UsageError for a candidate without a Format or where no
// tensor is selected. Empty tensors do not count.
SeedSweep seed_sweep(const Backend& backend, std::span<const TensorView> tensors,
                     const SeedSweepOptions& options = {});
SeedSweep seed_sweep(const Backend& backend, const Checkpoint& input, const SeedSweepOptions& options = {});

// The original's cost of a model for one (N, E), its getQuanMSE: the average divergence. options.candidates
// does not count.
double model_cost(const Backend& backend, const Checkpoint& input, SeedCandidate candidate,
                  SeedSweepOptions options = {});

// The entry of least penalty^exponent * 10 * average_kl, the first of equal ones.
struct SeedChoice {
  SeedCandidate candidate;
  double cost = 0.0;
};
double seed_cost(const SeedSweep::Entry& entry, double penalty_exponent);
SeedChoice best_seed_choice(const SeedSweep& sweep, double penalty_exponent);

// What the original's annealing minimizes instead: penalty * (10 * average_kl)^4.
double seed_annealing_cost(const SeedSweep::Entry& entry);

}  // namespace afp
