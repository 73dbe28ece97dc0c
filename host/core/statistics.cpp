// Gathering Statistics on the CPU: one or two increments a weight.
#include "afp/statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include "afp/codec.hpp"
#include "afp/error.hpp"

namespace afp {
namespace {

constexpr int kWideShift = 15;  // F32 key: bits above these
constexpr std::uint32_t kWideMask = (1u << kWideShift) - 1;
constexpr std::size_t kHalfKeys = std::size_t{1} << 15, kWideKeys = std::size_t{1} << 16;
constexpr std::uint32_t kInfinity = 0x7F800000u;

std::size_t first_nonfinite_key(DType dtype) {
  switch (dtype) {
    case DType::BF16:
      return 0x7F80;
    case DType::F16:
      return 0x7C00;
    default:
      return kInfinity >> kWideShift;
  }
}

struct KeyRange {
  std::size_t first, end;
};

// The keys above 0 that have counts, which are given from first_key on; throws where they exceed `keys`.
KeyRange used_range(std::size_t first_key, std::span<const std::uint64_t> counts, std::size_t keys) {
  if (first_key > keys || counts.size() > keys - first_key)
    throw UsageError("counts of " + std::to_string(counts.size()) + " keys from key " +
                     std::to_string(first_key) + " on; there are " + std::to_string(keys));
  const auto is_used = [](std::uint64_t count) { return count != 0; };
  const auto begin = counts.begin() + (first_key == 0 && !counts.empty() ? 1 : 0);
  const auto first = std::find_if(begin, counts.end(), is_used);
  const auto end = std::find_if(counts.rbegin(), std::make_reverse_iterator(first), is_used).base();
  return {first_key + static_cast<std::size_t>(first - counts.begin()),
          first_key + static_cast<std::size_t>(end - counts.begin())};
}

// So few 16-bit weights that finding the range of their keys first costs less than a table of all keys.
constexpr std::uint64_t kFewHalves = 16384;

}  // namespace

Statistics::Statistics(DType dtype) : dtype_(dtype) {
  if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
    throw UsageError("no Statistics of " + std::string(dtype_name(dtype)) +
                     " weights; expected BF16, F16 or F32");
}

void Statistics::cover(std::size_t first, std::size_t end) {
  const std::size_t size = stored();
  if (size != 0 && first_ <= first && end <= first_ + size) return;
  if (size != 0) {
    first = std::min(first, first_);
    end = std::max(end, first_ + size);
  }
  const auto grow = [&](auto& table) {
    std::remove_reference_t<decltype(table)> wider(end - first);
    if (size != 0)
      std::copy(table.begin(), table.end(), wider.begin() + static_cast<std::ptrdiff_t>(first_ - first));
    table.swap(wider);
  };
  if (dtype_ == DType::F32)
    grow(wide_);
  else
    grow(counts_);
  first_ = first;
}

void Statistics::add(const std::byte* weights, std::uint64_t count) {
  if (dtype_ == DType::F32)
    add_floats(weights, count);
  else
    add_halves(weights, count);
}

// Four weights a load.
void Statistics::add_halves(const std::byte* weights, std::uint64_t count) {
  const auto weight = [&](std::uint64_t i) {
    std::uint16_t one;
    std::memcpy(&one, weights + 2 * i, sizeof one);
    return static_cast<std::size_t>(one & 0x7FFF);
  };
  if (count <= kFewHalves && stored() != kHalfKeys) {
    std::size_t first = kHalfKeys, last = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t key = weight(i);
      last = std::max(last, key);
      first = std::min(first, (key - 1) & (kHalfKeys - 1));  // zero comes last here
    }
    if (last != 0) cover(first + 1, last + 1);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t key = weight(i);
      if (key == 0)
        ++zeros_;
      else
        ++counts_[key - first_];
    }
    return;
  }
  cover(0, kHalfKeys);
  std::uint64_t* const bins = counts_.data();
  std::uint64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    std::uint64_t four;
    std::memcpy(&four, weights + 2 * i, sizeof four);
    ++bins[four & 0x7FFF];
    ++bins[(four >> 16) & 0x7FFF];
    ++bins[(four >> 32) & 0x7FFF];
    ++bins[(four >> 48) & 0x7FFF];
  }
  for (; i < count; ++i) ++bins[weight(i)];
  zeros_ += bins[0];
  bins[0] = 0;
}

void Statistics::add_floats(const std::byte* weights, std::uint64_t count) {
  const auto weight = [&](std::uint64_t i) {
    std::uint32_t bits;
    std::memcpy(&bits, weights + 4 * i, sizeof bits);
    return bits & 0x7FFFFFFFu;
  };
  std::uint32_t largest = 0, smallest = 0xFFFFFFFFu;  // smallest: one less, so that zero comes last
  for (std::uint64_t i = 0; i < count; ++i) {
    largest = std::max(largest, weight(i));
    smallest = std::min(smallest, weight(i) - 1);
  }
  if (largest != 0) cover((smallest + 1) >> kWideShift, (largest >> kWideShift) + 1);
  std::uint32_t finite = float_bits(largest_);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = weight(i);
    if (bits == 0) {
      ++zeros_;
      continue;
    }
    if (bits < kInfinity) finite = std::max(finite, bits);
    const std::uint64_t r = bits & kWideMask;
    WideBin& bin = wide_[(bits >> kWideShift) - first_];
    ++bin.count;
    bin.count_base += r == 0;
    bin.sum_r += r;
    bin.sum_r2 += r * r;
  }
  largest_ = bits_float(finite);
}

void Statistics::add_packed(std::size_t first_key, std::span<const PackedBin> bins, float largest) {
  constexpr std::uint64_t kCount = (std::uint64_t{1} << PackedBin::kSumShift) - 1,
                          kSquares = (std::uint64_t{1} << PackedBin::kBaseShift) - 1;
  if (dtype_ != DType::F32)
    throw UsageError("packed sums are of F32 weights, these Statistics of " +
                     std::string(dtype_name(dtype_)));
  if (bins.empty()) return;
  std::size_t first = 0;
  if (first_key == 0) {  // zeros have no place in the table
    const std::uint64_t zeros = bins[0].high >> PackedBin::kBaseShift;
    zeros_ += zeros;
    if ((bins[0].low & kCount) == zeros) first = 1;
  }
  while (first < bins.size() && bins[first].low == 0) ++first;
  if (first < bins.size()) cover(first_key + first, first_key + bins.size());
  for (std::size_t i = first; i < bins.size(); ++i) {
    const PackedBin packed = bins[i];
    WideBin& bin = wide_[first_key + i - first_];
    bin.count += packed.low & kCount;
    bin.sum_r += packed.low >> PackedBin::kSumShift;
    bin.count_base += packed.high >> PackedBin::kBaseShift;
    bin.sum_r2 += packed.high & kSquares;
  }
  if (first_key == 0 && first == 0) {
    const std::uint64_t zeros = bins[0].high >> PackedBin::kBaseShift;
    wide_[0 - first_].count -= zeros;
    wide_[0 - first_].count_base -= zeros;
  }
  largest_ = std::max(largest_, largest);
}

void Statistics::add_counts(std::size_t first_key, std::span<const std::uint64_t> counts) {
  if (dtype_ == DType::F32)
    throw UsageError("counts alone are of BF16 or F16 weights, these Statistics of F32");
  const KeyRange used = used_range(first_key, counts, kHalfKeys);
  if (first_key == 0 && !counts.empty()) zeros_ += counts[0];
  if (used.first == used.end) return;
  cover(used.first, used.end);
  for (std::size_t key = used.first; key < used.end; ++key) counts_[key - first_] += counts[key - first_key];
}

void Statistics::add_counts(std::size_t first_key, const WideCounts& counts, float largest) {
  if (dtype_ != DType::F32)
    throw UsageError("counts with sums are of F32 weights, these Statistics of " +
                     std::string(dtype_name(dtype_)));
  const std::size_t size = counts.count.size();
  if (counts.count_base.size() != size || counts.sum_r.size() != size || counts.sum_r2.size() != size)
    throw UsageError("tables of " + std::to_string(size) + ", " + std::to_string(counts.count_base.size()) +
                     ", " + std::to_string(counts.sum_r.size()) + " and " +
                     std::to_string(counts.sum_r2.size()) + " keys; expected as many of each");
  const KeyRange used = used_range(first_key, counts.count, kWideKeys);
  largest_ = std::max(largest_, largest);
  if (first_key == 0 && size != 0) {  // of key 0 a weight with r == 0 is a zero; others are subnormal
    const std::uint64_t zeros = counts.count_base[0], others = counts.count[0] - zeros;
    zeros_ += zeros;
    if (others != 0) {
      cover(0, 1);
      wide_[0].count += others;
      wide_[0].sum_r += counts.sum_r[0];
      wide_[0].sum_r2 += counts.sum_r2[0];
    }
  }
  if (used.first == used.end) return;
  cover(used.first, used.end);
  for (std::size_t key = used.first; key < used.end; ++key) {
    const std::size_t i = key - first_key;
    WideBin& bin = wide_[key - first_];
    bin.count += counts.count[i];
    bin.count_base += counts.count_base[i];
    bin.sum_r += counts.sum_r[i];
    bin.sum_r2 += counts.sum_r2[i];
  }
}

void Statistics::merge(Statistics&& other) {
  if (stored() != 0 || other.dtype_ != dtype_) return merge(other);
  counts_.swap(other.counts_);
  wide_.swap(other.wide_);
  first_ = other.first_;
  zeros_ += other.zeros_;
  largest_ = std::fmax(largest_, other.largest_);
}

void Statistics::merge(const Statistics& other) {
  if (other.dtype_ != dtype_)
    throw UsageError("Statistics of " + std::string(dtype_name(other.dtype_)) +
                     " cannot be added to those of " + std::string(dtype_name(dtype_)));
  if (other.stored() != 0) cover(other.first_, other.first_ + other.stored());
  const std::size_t offset = other.first_ - first_;
  for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[offset + i] += other.counts_[i];
  for (std::size_t i = 0; i < other.wide_.size(); ++i) {
    WideBin& bin = wide_[offset + i];
    bin.count += other.wide_[i].count;
    bin.count_base += other.wide_[i].count_base;
    bin.sum_r += other.wide_[i].sum_r;
    bin.sum_r2 += other.wide_[i].sum_r2;
  }
  zeros_ += other.zeros_;
  largest_ = std::fmax(largest_, other.largest_);
}

std::size_t Statistics::key_count() const {
  return first_nonfinite_key(dtype_);
}

std::size_t Statistics::end_key() const {
  return std::min(first_ + stored(), key_count());
}

Statistics::Key Statistics::key(std::size_t index) const {
  const bool is_stored = index - first_ < stored();  // wraps below first_
  const std::uint64_t zeros = index == 0 ? zeros_ : 0;
  const float base = key_base(dtype_, index), step = key_step(dtype_, index);
  if (dtype_ == DType::F32) {
    const WideBin bin = is_stored ? wide_[index - first_] : WideBin{};
    return {base, step, bin.count + zeros, bin.count_base + zeros, bin.sum_r, bin.sum_r2};
  }
  const std::uint64_t count = (is_stored ? counts_[index - first_] : 0) + zeros;
  return {base, step, count, count, 0, 0};
}

std::uint64_t Statistics::count() const {
  std::uint64_t total = zeros_;
  const std::size_t finite = end_key() > first_ ? end_key() - first_ : 0;
  for (std::size_t i = 0; i < finite; ++i) total += dtype_ == DType::F32 ? wide_[i].count : counts_[i];
  return total;
}

std::uint64_t Statistics::zeros() const {
  return zeros_;
}

std::uint64_t Statistics::nonfinite() const {
  std::uint64_t total = 0;
  const std::size_t finite = end_key() > first_ ? end_key() - first_ : 0;
  for (std::size_t i = finite; i < stored(); ++i) total += dtype_ == DType::F32 ? wide_[i].count : counts_[i];
  return total;
}

float Statistics::absmax() const {
  if (dtype_ == DType::F32) return largest_;
  for (std::size_t i = end_key(); i-- > first_;)
    if (counts_[i - first_] != 0) return key(i).base;
  return 0.0f;
}

double Statistics::sum_of_squares() const {
  double sum = 0.0;
  for (std::size_t i = first_; i < end_key(); ++i) {
    const Key k = key(i);
    if (k.count == 0) continue;
    const double base = k.base, step = k.step;
    sum += static_cast<double>(k.count) * base * base +
           step * (2.0 * base * static_cast<double>(k.sum_r) + step * static_cast<double>(k.sum_r2));
  }
  return sum;
}

bool operator==(const Statistics& a, const Statistics& b) {
  if (a.dtype_ != b.dtype_ || a.zeros_ != b.zeros_ || a.largest_ != b.largest_) return false;
  const std::size_t end = std::max(a.first_ + a.stored(), b.first_ + b.stored());
  const auto at = [](const Statistics& s, const auto& table, std::size_t key) {
    using Bin = typename std::remove_cvref_t<decltype(table)>::value_type;
    return key - s.first_ < table.size() ? table[key - s.first_] : Bin{};
  };
  for (std::size_t key = std::min(a.first_, b.first_); key < end; ++key)
    if (at(a, a.counts_, key) != at(b, b.counts_, key) || at(a, a.wide_, key) != at(b, b.wide_, key))
      return false;
  return true;
}

}  // namespace afp
