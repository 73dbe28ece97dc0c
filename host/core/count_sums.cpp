// Prefix sums over keys.
#include "host/core/count_sums.hpp"

#include <algorithm>

namespace afp {

CountSums::CountSums(const Statistics& statistics) {
  const std::size_t first = statistics.first_key(), end = std::max(first, statistics.end_key());
  const bool is_f32 = statistics.dtype() == DType::F32;
  prefix_.resize(end - first + 1);
  if (is_f32) on_base_.resize(end - first);
  std::uint64_t running = 0;
  for (std::size_t i = 0; i < end - first; ++i) {
    prefix_[i] = running;
    running += statistics.stored_count(first + i);
    if (is_f32) on_base_[i] = statistics.stored_count_base(first + i);
  }
  prefix_.back() = running;
  bounds_ = {statistics.dtype(), first, end, statistics.zeros(), statistics.zeros() + running};
}

}  // namespace afp
