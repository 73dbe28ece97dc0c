// Element types and tensor sizes: bodies of afp/tensor.hpp.
#include "afp/tensor.hpp"

#include <array>

#include "afp/error.hpp"

namespace afp {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  int bits;
};

// One row a type, in the order of the enumeration.
constexpr std::array<DTypeRow, 22> kDTypes = {{
    {DType::BOOL, "BOOL", 8},
    {DType::F4, "F4", 4},
    {DType::F6_E2M3, "F6_E2M3", 6},
    {DType::F6_E3M2, "F6_E3M2", 6},
    {DType::U8, "U8", 8},
    {DType::I8, "I8", 8},
    {DType::F8_E5M2, "F8_E5M2", 8},
    {DType::F8_E4M3, "F8_E4M3", 8},
    {DType::F8_E8M0, "F8_E8M0", 8},
    {DType::F8_E4M3FNUZ, "F8_E4M3FNUZ", 8},
    {DType::F8_E5M2FNUZ, "F8_E5M2FNUZ", 8},
    {DType::I16, "I16", 16},
    {DType::U16, "U16", 16},
    {DType::F16, "F16", 16},
    {DType::BF16, "BF16", 16},
    {DType::I32, "I32", 32},
    {DType::U32, "U32", 32},
    {DType::F32, "F32", 32},
    {DType::C64, "C64", 64},
    {DType::F64, "F64", 64},
    {DType::I64, "I64", 64},
    {DType::U64, "U64", 64},
}};

constexpr bool rows_follow_the_enumeration() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].dtype != static_cast<DType>(i)) return false;
  }
  return true;
}
static_assert(rows_follow_the_enumeration());

const DTypeRow& row(DType dtype) {
  return kDTypes.at(static_cast<std::size_t>(dtype));
}

}  // namespace

int dtype_bits(DType dtype) {
  return row(dtype).bits;
}

std::string_view dtype_name(DType dtype) {
  return row(dtype).name;
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeRow& candidate : kDTypes) {
    if (candidate.name == name) return candidate.dtype;
  }
  return std::nullopt;
}

bool is_quantizable(DType dtype) {
  return dtype == DType::BF16 || dtype == DType::F16 || dtype == DType::F32 || dtype == DType::F64;
}

std::uint64_t element_count(const Shape& shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t dimension : shape) {
    if (__builtin_mul_overflow(count, dimension, &count)) {
      throw InputError("shape " + to_string(shape) + " has more elements than 64 bits can count");
    }
  }
  return count;
}

std::string to_string(const Shape& shape) {
  constexpr std::size_t kMostShown = 16;  // a hostile file may have millions, and this text is for messages
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size() && i < kMostShown; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  if (shape.size() > kMostShown) text += ", ...";
  return text + "]";
}

std::uint64_t byte_size(DType dtype, const Shape& shape) {
  const std::string type(dtype_name(dtype));
  std::uint64_t bits = element_count(shape);
  if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(dtype_bits(dtype)), &bits)) {
    throw InputError("shape " + to_string(shape) + " of " + type + " has more bits than 64 bits can count");
  }
  if (bits % 8 != 0) {
    throw InputError("shape " + to_string(shape) + " of " + type + " does not fill whole bytes");
  }
  return bits / 8;
}

}  // namespace afp
