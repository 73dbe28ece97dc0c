// The engine on tensors that lie in device memory already, for programs that hold them there. In builds with
// CUDA.
//
//  1. A call queues its work on the caller's stream and returns. It allocates nothing, waits for nothing and
//  asks the
//     device nothing, so that it may be captured in a CUDA graph; what it needs to work in, the caller gives.
//  2. Pointers are to memory of the context's device, which must be the current one. Weights are aligned to
//  their
//     type (16 bytes are faster), codes and workspaces to 16 bytes.
//  3. Results are those of the same work on a Backend, bit for bit.
//  4. A request that makes no sense throws UsageError, a launch that fails DeviceError. What goes wrong later
//  shows
//     where the caller synchronises.
//  5. Weights that are NaN or infinite are counted and nothing more: what their blocks get means nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "afp/encoding.hpp"
#include "afp/objective.hpp"
#include "afp/piece.hpp"
#include "afp/statistics.hpp"
#include "afp/tensor.hpp"
#include "afp/tensor_costs.hpp"

struct CUstream_st;  // cudaStream_t points to it

namespace afp::cuda {

using StreamHandle = CUstream_st*;

// A tensor's weights, row by row without gaps: BF16, F16 or F32.
struct Weights {
  const void* data = nullptr;
  DType dtype = DType::BF16;
  Shape shape;
};

// A packed tensor, as BlockGrid lays it out: code_bytes() of codes, scale_count() of scales, and under ue4m3
// the tensor's scale, one float32.
struct Packed {
  std::uint8_t* codes = nullptr;
  std::uint8_t* scales = nullptr;
  float* tensor_scale = nullptr;
};

// What a device is known by, asked once.
class Context {
 public:
  // Throws DeviceError where there is no such device, or one that the kernels do not run on.
  explicit Context(int device = 0);

  int device() const { return device_; }
  int multiprocessors() const { return multiprocessors_; }

  // Bytes of workspace for quantize().
  std::size_t quantize_workspace(const Weights& weights, const Encoding& encoding) const;

  // The codes, the scale of least squared error of every block, and the tensor's scale. Tensor blocks take
  // them from the tensor's Statistics; of F32 weights under ue4m3 these do not tell, and that is a
  // UsageError. `nonfinite`, where it is not null, gets the number of weights that are NaN or infinite, one
  // 64-bit integer in device memory.
  void quantize(const Weights& weights, const Encoding& encoding, Effort effort, const Packed& packed,
                void* workspace, StreamHandle stream, std::uint64_t* nonfinite = nullptr) const;

  // Weights of `dtype` (BF16, F16 or F32) of a tensor of this shape.
  void dequantize(const Packed& packed, const Encoding& encoding, const Shape& shape, DType dtype,
                  void* weights, StreamHandle stream) const;

 private:
  int device_;
  int multiprocessors_ = 0;
};

// What the candidates cost tensor blocks, [tensor][candidate], and each tensor's best one: the first of least
// cost.
struct TensorSetCosts {
  std::vector<std::optional<TensorBlockCost>> costs;
  std::vector<std::uint32_t> best;
};

// Tensors of one type whose Statistics are gathered and used on the device, all in one launch a step, however
// many they are. It holds device memory: about 0.7 MB a tensor of BF16 or F16, 5 MB of F32; more under kl and
// kl-seed. Unlike the calls of Context these allocate and wait. One thread at a time; the weights must stay
// where they are, and the stream must outlive the set.
class TensorSet {
 public:
  // Gathers the Statistics. Throws UsageError for an empty set and for tensors of several types, DeviceError
  // where memory is short.
  TensorSet(const Context& context, std::span<const Weights> tensors, StreamHandle stream);
  ~TensorSet();
  TensorSet(const TensorSet&) = delete;
  TensorSet& operator=(const TensorSet&) = delete;

  std::vector<Statistics> statistics() const;

  // As tensor_block_costs of afp/tensor_costs.hpp has them. Throws UsageError for a candidate whose block is
  // not tensor and where there is none, InputError for weights that are not finite.
  TensorSetCosts costs(Objective objective, std::span<const Encoding> candidates) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace afp::cuda
