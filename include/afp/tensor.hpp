// A tensor's description: element type, shape and size. No data is owned here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace afp {

// Every element type of the safetensors format (22), under its name there.
enum class DType : std::uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64,
};

int dtype_bits(DType dtype);                              // 4, 6, 8, ... 64
std::string_view dtype_name(DType dtype);                 // "BF16"
std::optional<DType> parse_dtype(std::string_view name);  // exact, case-sensitive

// True for the types that `afp` can quantize: BF16, F16, F32, and F64 (rounded to F32 first).
bool is_quantizable(DType dtype);

using Shape = std::vector<std::uint64_t>;

std::uint64_t element_count(const Shape& shape);  // throws InputError on overflow; 1 for []
std::string to_string(const Shape& shape);        // "[64, 3, 7, 7]"; "..." after 16 sizes

// Bytes that `shape` elements of `dtype` take; throws InputError on overflow, and where elements
// narrower than a byte do not fill whole bytes.
std::uint64_t byte_size(DType dtype, const Shape& shape);

struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;

  std::uint64_t elements() const { return element_count(shape); }
  std::uint64_t bytes() const { return byte_size(dtype, shape); }
};

}  // namespace afp
