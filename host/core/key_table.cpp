// Laying out keys, and the definition of the sum over them.
#include "afp/key_table.hpp"

namespace afp {
namespace {

template <bool kHasInside>
KeyErrors sum_slots(const KeySlots& slots, const KeyScale& scale) {
  LaneSum total, clipped;
  for (std::size_t i = 0; i < slots.count; ++i) {
    const double error = slot_error<kHasInside>(slots, i, scale);
    total.lanes[i % kSumLanes] += error;
    if (static_cast<double>(slots.base[i]) >= scale.limit) clipped.lanes[i % kSumLanes] += error;
  }
  return {total.total(), clipped.total()};
}

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
      const KeySlot slot = key_slot(key);
      base.push_back(slot.base);
      count_base.push_back(slot.count_base);
      if (!has_inside) continue;
      count_inside.push_back(slot.count_inside);
      mean.push_back(slot.mean);
      spread.push_back(slot.spread);
    }
  };
  const std::size_t begin = statistics.first_key() / kSumLanes * kSumLanes;
  for (std::size_t first = begin; first < statistics.end_key(); first += kSumLanes) add_group(first);
}

KeyErrors key_errors(const KeyTable& keys, Format format, float scale) {
  const KeyScale scaled(format, scale);
  return keys.has_inside() ? sum_slots<true>(keys.view(), scaled) : sum_slots<false>(keys.view(), scaled);
}

}  // namespace afp
