// Bodies of afp/cuda.hpp: which kernels, in which order, and how the workspace is divided.
#include <cuda_runtime_api.h>

#include "afp/block_search.hpp"
#include "afp/cuda.hpp"
#include "afp/error.hpp"
#include "host/cuda/check.hpp"
#include "host/cuda/cuda_machine.hpp"
#include "host/cuda/range.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/encode.hpp"
#include "kernels/extent.hpp"
#include "kernels/search_cells.hpp"
#include "kernels/search_rows.hpp"
#include "kernels/statistics.hpp"

namespace afp::cuda {
namespace {

// Places in a workspace, one behind the other; without memory, how large it must be.
class Workspace {
 public:
  explicit Workspace(void* memory) : memory_(static_cast<std::byte*>(memory)) {}

  template <class T>
  T* take(std::size_t count) {
    constexpr std::size_t kAlignment = 256;
    std::byte* const at = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ = (used_ + count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<T*>(at);
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

bool is_row_search(const BlockGrid& grid) {
  return grid.block.kind == BlockKind::row && !blocks_are_cells(grid);
}

// What quantize() works in.
struct QuantizeWorkspace {
  QuantizeWorkspace(void* memory, const BlockGrid& grid, DType dtype) : space(memory) {
    extent = space.take<kernels::RawExtent>(1);
    if (is_row_search(grid)) row_sums = space.take<StripSums>(grid.rows);
    if (grid.block.kind == BlockKind::tensor) {
      const std::size_t keys = kernels::keys_of(dtype);
      tables = space.take<unsigned long long>((dtype == DType::F32 ? 4 : 1) * keys);
      largest = space.take<unsigned int>(1);
    }
  }

  Workspace space;
  kernels::RawExtent* extent = nullptr;
  StripSums* row_sums = nullptr;
  unsigned long long* tables = nullptr;
  unsigned int* largest = nullptr;
};

void require_float_weights(DType dtype) {
  if (dtype != DType::BF16 && dtype != DType::F16 && dtype != DType::F32)
    throw UsageError("weights on a device are BF16, F16 or F32, found " + std::string(dtype_name(dtype)));
}

BlockGrid grid_of(const Encoding& encoding, const Shape& shape) {
  return BlockGrid(encoding.block, encoding.bits(), shape);
}

}  // namespace
}  // namespace afp::cuda
