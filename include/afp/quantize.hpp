// The whole line: checkpoint in, packed checkpoint out, and back; and the same for one tensor in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/checkpoint.hpp"
#include "afp/packed_checkpoint.hpp"
#include "afp/packed_tensor.hpp"
#include "afp/plan.hpp"
#include "afp/progress.hpp"

namespace afp {

// --- One tensor in memory ------------------------------------------------------------------------

// Quantizes `weights` (BF16, F16 or F32, as in a file) under the Encoding; with several candidates
// under the one of least squared error, the first on a tie. Throws InputError for non-finite weights.
PackedTensor quantize_tensor(const Backend& backend, const TensorInfo& info,
                             std::span<const std::byte> weights, std::span<const Encoding> candidates,
                             Effort effort = Effort::exact);

// Weights of `dtype` from the packed tensor.
std::vector<std::byte> dequantize_tensor(const Backend& backend, const PackedTensor& packed, DType dtype);

// --- Checkpoints ---------------------------------------------------------------------------------

struct QuantizeOptions {
  EncodingRequest request;
  std::vector<Rule> rules;
  std::optional<Plan> plan;  // of every tensor, as check_plan() leaves it: request and rules do not count
  Effort effort = Effort::exact;
  bool force = false;    // empty OUTPUT first, unless it holds an unfinished run of this request
  bool dry_run = false;  // do all but write: the result is exact, OUTPUT is not touched
  RunOptions run;
};

struct TensorResult {
  TensorInfo source;
  std::optional<Encoding> encoding;  // absent: kept
  std::string kept;
  std::uint64_t source_bytes = 0;
  std::uint64_t packed_bytes = 0;  // scales included
  double squared_error = 0.0;
  double signal = 0.0;

  double bpw() const;      // bits per weight, scales included; 0 for an empty tensor
  double sqnr_db() const;  // infinite where the error is 0
};

struct QuantizeResult {
  std::vector<TensorResult> tensors;  // in checkpoint order
  BackendUse backend;
  std::size_t shards = 0;
  std::size_t resumed_shards = 0;  // found finished by an earlier run
  // Busy seconds by stage, summed over threads; stages overlap.
  double read_seconds = 0.0, search_seconds = 0.0, encode_seconds = 0.0, write_seconds = 0.0;
  double total_seconds = 0.0;  // of the wall clock

  std::uint64_t source_bytes() const;
  std::uint64_t packed_bytes() const;
  double bpw() const;      // over the quantized tensors
  double sqnr_db() const;  // likewise
};

// What quantize_checkpoint is going to do, from the headers and the backend alone.
struct QuantizePlan {
  struct Entry {
    std::vector<Encoding> candidates;  // to choose from by least squared error; all of one size. Empty: kept
    std::string kept;                  // why
    std::uint64_t bytes = 0;           // of the result, scales included
  };
  std::vector<Entry> tensors;     // in checkpoint order
  std::uint64_t peak_memory = 0;  // bytes, of the whole process
};
QuantizePlan plan_quantization(const Checkpoint& input, const QuantizeOptions& options);

// Quantizes `input` into the folder `output`, which must be absent, empty, or what an interrupted run of the
// same request left there: then its finished shards are taken over. Throws InputError for non-finite
// weights (naming the tensor and their number), UsageError where output holds something else.
QuantizeResult quantize_checkpoint(const Checkpoint& input, const std::filesystem::path& output,
                                   const QuantizeOptions& options);

// Throws the UsageError that quantize_checkpoint would, as far as can be told without knowing the request:
// OUTPUT is not empty and no unfinished run, or is a folder that must not be written to.
void require_free_output(const std::filesystem::path& output, const Checkpoint& input, bool force);

struct DequantizeOptions {
  std::optional<DType> dtype;  // of the weights; else as the source had them
  bool force = false;
  RunOptions run;
};
struct DequantizeResult {
  std::size_t tensors = 0;  // dequantized; the others were copied
  BackendUse backend;
  std::uint64_t packed_bytes = 0, written_bytes = 0;
  double total_seconds = 0.0;
};
// Writes a plain checkpoint that holds the AFP values: same shards, names and shapes as the source's.
DequantizeResult dequantize_checkpoint(const PackedCheckpoint& input, const std::filesystem::path& output,
                                       const DequantizeOptions& options);

struct VerifyProblem {
  std::string name;  // of the tensor; empty where none is concerned
  std::string what;
};
struct VerifyResult {
  std::size_t tensors = 0;  // looked at
  BackendUse backend;
  std::vector<VerifyProblem> problems;
  std::optional<double> sqnr_db;     // measured, with a source
  std::vector<TensorResult> errors;  // likewise, of each quantized tensor
  double total_seconds = 0.0;
};
// Checks digests and scale bytes of everything in the packed checkpoint; with `source` also that it is the
// checkpoint it was made from, and that the error of every tensor, measured by decoding, is what the
// manifest says.
VerifyResult verify_checkpoint(const PackedCheckpoint& packed, const Checkpoint* source,
                               const RunOptions& run);

}  // namespace afp
