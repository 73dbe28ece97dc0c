// Where a tensor's Statistics lie on a device, and what is laid out from them.
#pragma once

#include "afp/objective.hpp"
#include "host/cuda/places.hpp"
#include "kernels/key_arrays.hpp"
#include "kernels/statistics.hpp"

namespace afp::cuda {

// 64-bit sums of a key.
inline std::size_t sums_of(DType dtype) {
  return dtype == DType::F32 ? 4 : 1;
}

// The sums one behind the other at `memory`, which has room for sums_of() of every key. (The device knows
// 64-bit integers by another name.)
inline kernels::StatisticsTables tables_at(std::uint64_t* memory, DType dtype, unsigned int* largest) {
  auto* const first = reinterpret_cast<unsigned long long*>(memory);
  if (dtype != DType::F32) return {first, nullptr, nullptr, nullptr, nullptr};
  const std::size_t keys = kernels::keys_of(dtype);
  return {first, first + keys, first + 2 * keys, first + 3 * keys, largest};
}

inline kernels::KeyArrays take_key_arrays(Places& places, DType dtype, Objective objective) {
  const std::size_t keys = kernels::finite_keys_of(dtype);
  const bool is_float = dtype == DType::F32, needs_counts = objective != Objective::mse;
  kernels::KeyArrays arrays;
  arrays.facts = places.take<kernels::KeyFacts>(1);
  arrays.base = places.take<float>(keys);
  arrays.count_base = places.take<double>(keys);
  if (is_float) {
    arrays.count_inside = places.take<double>(keys);
    arrays.mean = places.take<double>(keys);
    arrays.spread = places.take<double>(keys);
  }
  if (needs_counts) arrays.prefix = places.take<std::uint64_t>(keys + 1);
  if (needs_counts && is_float) arrays.on_base = places.take<std::uint64_t>(keys);
  return arrays;
}

}  // namespace afp::cuda
