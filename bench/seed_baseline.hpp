// The original's sweep as it computes it: for every candidate (N, E) one pass over all weights, each brought
// to the nearest level, counted, and its own histogram for the comparison.
#pragma once

#include <vector>

namespace afp::bench {

enum class SeedNearest {
  binary_search,  // of the sorted levels, then the nearer of two neighbours
  all_distances,  // the least of the distances from all levels, as a tensor program broadcasts them
};

// The average divergence of each of seed_candidates(), on one thread.
std::vector<double> seed_baseline(const std::vector<std::vector<float>>& tensors, SeedNearest nearest);

}  // namespace afp::bench
