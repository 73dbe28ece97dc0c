// Laying out keys, and the definition of the sum over them.
#include "afp/key_table.hpp"

#include <algorithm>

namespace afp {
namespace {

__extension__ using Wide = unsigned __int128;

}  // namespace

KeyTable::KeyTable(const Statistics& statistics) : dtype(statistics.dtype()), absmax(statistics.absmax()) {
  const bool has_inside = dtype == DType::F32;
  const auto add_group = [&](std::size_t first) {
    Statistics::Key group[kSumLanes];
    bool occupied = false;
    for (std::size_t l = 0; l < kSumLanes; ++l) {
      group[l] = statistics.key(first + l);
      occupied |= group[l].count != 0;
    }
    if (!occupied) return;
    for (const Statistics::Key& key : group) {
      base.push_back(key.base);
      count_base.push_back(static_cast<double>(key.count_base));
      if (!has_inside) continue;
      const std::uint64_t inside = key.count - key.count_base;
      if (inside == 0) {
        count_inside.push_back(0.0);
        mean.push_back(key.base);
        spread.push_back(0.0);
        continue;
      }
      const double n = static_cast<double>(inside), step = key.step;
      const Wide squares =  // n times the sum of squared distances, in steps
          static_cast<Wide>(key.sum_r2) * inside - static_cast<Wide>(key.sum_r) * key.sum_r;
      count_inside.push_back(n);
      mean.push_back(static_cast<double>(key.base) + step * (static_cast<double>(key.sum_r) / n));
      spread.push_back(step * step * (static_cast<double>(squares) / n));
    }
  };
  const std::size_t begin = statistics.first_key() / kSumLanes * kSumLanes;
  for (std::size_t first = begin; first < statistics.end_key(); first += kSumLanes) add_group(first);
}

KeyErrors key_errors(const KeyTable& keys, Format format, float scale) {
  const float reciprocal = scale_reciprocal(scale);
  const double limit = static_cast<double>(format.max_value()) * static_cast<double>(scale);
  LaneSum total, clipped;
  for (std::size_t i = 0; i < keys.slots(); ++i) {
    const float base = keys.base[i];
    double error = base_error(base, keys.count_base[i], rounded_magnitude(format, base, reciprocal, scale));
    if (keys.has_inside()) {
      // Any weight strictly inside the key rounds like all others there.
      const float inside = bits_float(float_bits(base) + 1);
      error += inside_error(keys.mean[i], keys.count_inside[i], keys.spread[i],
                            rounded_magnitude(format, inside, reciprocal, scale));
    }
    total.lanes[i % kSumLanes] += error;
    if (static_cast<double>(base) >= limit) clipped.lanes[i % kSumLanes] += error;
  }
  return {total.total(), clipped.total()};
}

}  // namespace afp
