// Gathering Statistics on the CPU: one or two increments a weight.
#include "afp/statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "afp/codec.hpp"
#include "afp/error.hpp"

namespace afp {
namespace {

constexpr int kWideShift = 15;  // F32 key: bits above these
constexpr std::uint32_t kWideMask = (1u << kWideShift) - 1;
constexpr std::size_t kWideKeys = std::size_t{1} << 16;
constexpr std::size_t kHalfKeys = std::size_t{1} << 15;
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

// So few 16-bit weights that finding the range of their keys first costs less than a table of all keys.
constexpr std::uint64_t kFewHalves = 16384;

// The four sums of an F32 key while weights are counted, in two words: for so many weights none of them
// reaches its neighbour's bits.
//     low   count in bits 0..23, sum of r from bit 24 on
//     high  sum of r^2 in bits 0..46, count of r == 0 from bit 47 on
constexpr std::uint64_t kPackedWeights = (std::uint64_t{1} << 17) - 1;
constexpr int kSumShift = 24, kBaseShift = 47;
struct PackedBin {
  std::uint64_t low = 0, high = 0;
};

// Of every thread that counts F32 weights, 1 MiB; all zero between two uses.
std::vector<PackedBin>& packed_table() {
  thread_local std::vector<PackedBin> table(kWideKeys);
  return table;
}

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
  if (count == 0) return;
  if (dtype_ != DType::F32) return add_halves(weights, count);
  for (std::uint64_t done = 0; done < count; done += kPackedWeights)
    add_floats(weights + 4 * done, std::min(kPackedWeights, count - done));
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

// At most kPackedWeights of them.
void Statistics::add_floats(const std::byte* weights, std::uint64_t count) {
  std::vector<PackedBin>& table = packed_table();
  PackedBin* const bins = table.data();
  std::uint32_t largest = 0, smallest = 0xFFFFFFFFu;  // smallest: one less, so that zero comes last
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, weights + 4 * i, sizeof bits);
    bits &= 0x7FFFFFFFu;
    largest = std::max(largest, bits);
    smallest = std::min(smallest, bits - 1);
    const std::uint64_t r = bits & kWideMask;
    PackedBin& bin = bins[bits >> kWideShift];
    bin.low += 1 + (r << kSumShift);
    bin.high += r * r + (std::uint64_t{r == 0} << kBaseShift);
  }
  const std::uint64_t zeros = bins[0].high >> kBaseShift;
  bins[0].high -= zeros << kBaseShift;
  bins[0].low -= zeros;
  zeros_ += zeros;
  if (largest == 0) return;

  const std::size_t first = (smallest + 1) >> kWideShift, end = (largest >> kWideShift) + 1;
  const auto clear = [&] { std::fill(bins + first, bins + end, PackedBin{}); };
  try {
    cover(first, end);
  } catch (...) {
    clear();
    throw;
  }
  std::uint32_t finite = largest;
  for (std::size_t k = first; k < end; ++k) {
    if (bins[k].low == 0) continue;
    WideBin& bin = wide_[k - first_];
    bin.count += bins[k].low & ((1u << kSumShift) - 1);
    bin.sum_r += bins[k].low >> kSumShift;
    bin.count_base += bins[k].high >> kBaseShift;
    bin.sum_r2 += bins[k].high & ((std::uint64_t{1} << kBaseShift) - 1);
  }
  clear();
  if (largest >= kInfinity) {  // rare: the tensor is going to be refused
    finite = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, weights + 4 * i, sizeof bits);
      bits &= 0x7FFFFFFFu;
      if (bits < kInfinity) finite = std::max(finite, bits);
    }
  }
  largest_ = std::max(largest_, bits_float(finite));
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
  if (dtype_ == DType::F32) {
    const WideBin bin = is_stored ? wide_[index - first_] : WideBin{};
    const std::uint32_t base = static_cast<std::uint32_t>(index << kWideShift);
    const int exponent = static_cast<int>(base >> 23);
    return {bits_float(base),  exp2_int((exponent == 0 ? 1 : exponent) - 150),
            bin.count + zeros, bin.count_base + zeros,
            bin.sum_r,         bin.sum_r2};
  }
  const auto bits = static_cast<std::uint16_t>(index);
  const float base = dtype_ == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
  const std::uint64_t count = (is_stored ? counts_[index - first_] : 0) + zeros;
  return {base, 0.0f, count, count, 0, 0};
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
