// Gathering Statistics on the CPU: one increment a weight.
#include "afp/statistics.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "afp/codec.hpp"
#include "afp/error.hpp"

namespace afp {
namespace {

constexpr int kWideShift = 15;  // F32 key: bits above these
constexpr std::uint32_t kWideMask = (1u << kWideShift) - 1;
constexpr std::size_t kWideInfinity = 0x7F800000u >> kWideShift;

std::size_t first_nonfinite_key(DType dtype) {
  switch (dtype) {
    case DType::BF16:
      return 0x7F80;
    case DType::F16:
      return 0x7C00;
    default:
      return kWideInfinity;
  }
}

// Four 16-bit weights a load. Even and odd weights count in tables of their own, so that a run of
// equal weights does not wait for its own last store.
void count_halves(const std::byte* weights, std::uint64_t count, std::uint64_t* bins) {
  std::uint64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    std::uint64_t four;
    std::memcpy(&four, weights + 2 * i, sizeof four);
    ++bins[four & 0x7FFF];
    ++bins[(four >> 16) & 0x7FFF];
    ++bins[(four >> 32) & 0x7FFF];
    ++bins[(four >> 48) & 0x7FFF];
  }
  for (; i < count; ++i) {
    std::uint16_t one;
    std::memcpy(&one, weights + 2 * i, sizeof one);
    ++bins[one & 0x7FFF];
  }
}

}  // namespace

Statistics::Statistics(DType dtype) : dtype_(dtype) {
  switch (dtype) {
    case DType::BF16:
    case DType::F16:
      counts_.resize(std::size_t{1} << 15);
      break;
    case DType::F32:
      wide_.resize(std::size_t{1} << 16);
      break;
    default:
      throw UsageError("no Statistics of " + std::string(dtype_name(dtype)) +
                       " weights; expected BF16, F16 or F32");
  }
}

void Statistics::add(const std::byte* weights, std::uint64_t count) {
  if (dtype_ != DType::F32) return count_halves(weights, count, counts_.data());
  std::uint32_t largest = float_bits(largest_);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, weights + 4 * i, sizeof bits);
    bits &= 0x7FFFFFFFu;
    if (bits < 0x7F800000u && bits > largest) largest = bits;
    const std::uint64_t r = bits & kWideMask;
    WideBin& bin = wide_[bits >> kWideShift];
    ++bin.count;
    bin.count_base += r == 0;
    bin.sum_r += r;
    bin.sum_r2 += r * r;
  }
  largest_ = bits_float(largest);
}

void Statistics::merge(const Statistics& other) {
  if (other.dtype_ != dtype_)
    throw UsageError("Statistics of " + std::string(dtype_name(other.dtype_)) +
                     " cannot be added to those of " + std::string(dtype_name(dtype_)));
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  for (std::size_t i = 0; i < wide_.size(); ++i) {
    wide_[i].count += other.wide_[i].count;
    wide_[i].count_base += other.wide_[i].count_base;
    wide_[i].sum_r += other.wide_[i].sum_r;
    wide_[i].sum_r2 += other.wide_[i].sum_r2;
  }
  largest_ = std::fmax(largest_, other.largest_);
}

std::size_t Statistics::key_count() const {
  return first_nonfinite_key(dtype_);
}

Statistics::Key Statistics::key(std::size_t index) const {
  if (dtype_ == DType::F32) {
    const WideBin& bin = wide_[index];
    const std::uint32_t base = static_cast<std::uint32_t>(index << kWideShift);
    const int exponent = static_cast<int>(base >> 23);
    return {bits_float(base), exp2_int((exponent == 0 ? 1 : exponent) - 150),
            bin.count,        bin.count_base,
            bin.sum_r,        bin.sum_r2};
  }
  const auto bits = static_cast<std::uint16_t>(index);
  const float base = dtype_ == DType::BF16 ? bf16_to_float(bits) : f16_to_float(bits);
  return {base, 0.0f, counts_[index], counts_[index], 0, 0};
}

std::uint64_t Statistics::count() const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < key_count(); ++i) total += key(i).count;
  return total;
}

std::uint64_t Statistics::zeros() const {
  return dtype_ == DType::F32 ? wide_[0].count_base : counts_[0];
}

std::uint64_t Statistics::nonfinite() const {
  std::uint64_t total = 0;
  for (std::size_t i = key_count(); i < counts_.size(); ++i) total += counts_[i];
  for (std::size_t i = key_count(); i < wide_.size(); ++i) total += wide_[i].count;
  return total;
}

float Statistics::absmax() const {
  if (dtype_ == DType::F32) return largest_;
  for (std::size_t i = key_count(); i-- > 0;)
    if (counts_[i] != 0) return key(i).base;
  return 0.0f;
}

double Statistics::sum_of_squares() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < key_count(); ++i) {
    const Key k = key(i);
    if (k.count == 0) continue;
    const double base = k.base, step = k.step;
    sum += static_cast<double>(k.count) * base * base +
           step * (2.0 * base * static_cast<double>(k.sum_r) + step * static_cast<double>(k.sum_r2));
  }
  return sum;
}

}  // namespace afp
