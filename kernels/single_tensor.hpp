// What the kernels of many tensors need to be told of a single one, written by the device itself, so that a
// stream needs no copy from the host; and what becomes of their results.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "afp/block_search.hpp"
#include "kernels/extent.hpp"
#include "kernels/key_arrays.hpp"
#include "kernels/statistics.hpp"
#include "kernels/tensor_costs.hpp"

namespace afp::kernels {

// An extent of no weights.
cudaError_t begin_extent(RawExtent* extent, cudaStream_t stream);

// A tensor block and its one candidate.
struct SingleTensor {
  StatisticsTensor statistics;
  std::uint64_t first_chunk[2];
  KeyTensor keys;
  CostTensor costs;
  BlockCodec candidate;
};
cudaError_t write_tensor(const SingleTensor& tensor, SingleTensor* to, cudaStream_t stream);

// The chosen scale to where packed tensors have it; `tensor_scale` may be null.
cudaError_t store_scale(const TensorScale* chosen, std::uint8_t* byte, float* tensor_scale,
                        cudaStream_t stream);

}  // namespace afp::kernels
