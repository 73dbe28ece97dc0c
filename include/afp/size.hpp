// Checked unsigned 64-bit size arithmetic: a product or sum that does not fit throws
// instead of wrapping. Every byte count and offset derived from a file goes through it.
#pragma once

#include <cstdint>

#include "afp/error.hpp"
#include "afp/hd.hpp"

namespace afp {

class Size {
 public:
  constexpr Size() = default;
  constexpr Size(std::uint64_t value) : value_(value) {}  // NOLINT: a plain number is a size

  constexpr std::uint64_t value() const { return value_; }
  constexpr operator std::uint64_t() const { return value_; }  // NOLINT

  friend Size operator*(Size a, Size b) {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(a.value_, b.value_, &product)) overflow();
    return product;
  }
  friend Size operator+(Size a, Size b) {
    std::uint64_t sum = 0;
    if (__builtin_add_overflow(a.value_, b.value_, &sum)) overflow();
    return sum;
  }
  friend Size operator-(Size a, Size b) {
    if (b.value_ > a.value_) overflow();
    return a.value_ - b.value_;
  }

 private:
  [[noreturn]] static void overflow() { throw InputError("a size does not fit in 64 bits"); }

  std::uint64_t value_ = 0;
};

// ceil(a / b) without the overflow of (a + b - 1) / b.
AFP_HD constexpr std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) {
  return a / b + (a % b != 0);
}

}  // namespace afp
