// PackedCheckpoint: a checkpoint that `quantize_checkpoint` wrote, opened for reading.
//
// A packed folder is a safetensors checkpoint in which the tensor NAME has become
//     NAME          U8 [rows, blocks, bytes]   codes (a rank of 3: never mistaken for the dense weight)
//     NAME_scale    U8 [rows, blocks]          scale bytes; [1, 1] for a tensor block
//     NAME_scale_2  F32 []                     the tensor's scale, where the scale kind is ue4m3
// with afp_manifest.json beside the shards: shape, dtype, Encoding, digests and errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "afp/checkpoint.hpp"
#include "afp/encoding.hpp"
#include "afp/tensor.hpp"

namespace afp {

struct PackedEntry {
  TensorInfo source;                 // as it was before packing
  std::string source_digest;         // XXH3-128 of its bytes, 32 hexadecimal digits
  std::optional<Encoding> encoding;  // absent: kept as it was
  std::string kept;                  // why
  std::string codes_digest;          // of a packed tensor: of its codes
  std::string scales_digest;   // and of its scale bytes with the tensor's scale, where it has one, behind
  double squared_error = 0.0;  // of a packed tensor, in the units of the weights
  double signal = 0.0;         // sum of the squared weights

  // In checkpoint().tensors(): the kept tensor or the codes, the scales, the tensor's scale.
  std::size_t data = 0;
  std::size_t scales = 0;
  std::optional<std::size_t> tensor_scale;
};

class PackedCheckpoint {
 public:
  // Throws InputError where the folder is no packed checkpoint, is incomplete (the run that writes it has not
  // ended), or where config.json, manifest and shards contradict each other. Reads headers, config.json and
  // the manifest only.
  static PackedCheckpoint open(const std::filesystem::path& folder);

  PackedCheckpoint(PackedCheckpoint&&) noexcept;
  PackedCheckpoint& operator=(PackedCheckpoint&&) noexcept;
  ~PackedCheckpoint();

  const Checkpoint& checkpoint() const;
  const std::vector<PackedEntry>& entries() const;       // in the source's order
  const PackedEntry* find(std::string_view name) const;  // by the source's name; null when absent
  const std::string& effort() const;                     // "exact" or "fast"

 private:
  struct State;
  explicit PackedCheckpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether the folder has the manifest of a packed checkpoint.
bool is_packed_checkpoint(const std::filesystem::path& folder);

}  // namespace afp
