// Quantizing the tensors of one shard with bounded memory: in batches whose tensors stay in memory
// between their passes, except those too large for that, which are read again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/checkpoint.hpp"
#include "afp/quantize.hpp"
#include "host/checkpoint/digest.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/shard_writer.hpp"
#include "host/core/host_block.hpp"
#include "host/core/memory_shares.hpp"
#include "host/core/piece_pipeline.hpp"
#include "host/core/progress_meter.hpp"
#include "host/core/tensor_encoder.hpp"

namespace afp {

struct StageClocks {
  StageClock read, search, encode, write;
};

// The metadata of the output shard's header.
std::map<std::string, std::string> output_metadata(const CheckpointShard& shard);

class ShardQuantizer {
 public:
  // What becomes of one tensor of the shard: the candidates to choose from, or why it is kept.
  struct Item {
    const CheckpointTensor* source;
    const std::vector<Encoding>* candidates;  // empty: kept
    const std::string* kept;
  };

  // `writer` may be null: nothing is written then.
  ShardQuantizer(const Checkpoint& input, const Backend& backend, Effort effort, const MemoryShares& shares,
                 const RunOptions& run, ProgressMeter& meter, StageClocks& clocks);
  ~ShardQuantizer();

  // Entries in the order of the items. The tensors of the output shard are those of output_tensors().
  std::vector<ManifestEntry> run(const std::vector<Item>& items, ShardWriter* writer);

  // The tensors of the output shard in file order, each with what it holds of which item.
  enum class Part { kept, codes, scales, tensor_scale };
  struct OutputTensor {
    TensorInfo info;
    std::size_t item;
    Part part;
  };
  static std::vector<OutputTensor> output_tensors(const std::vector<Item>& items);

 private:
  struct Work;
  struct Buffer;
  struct Piece;
  enum class Pass { scan, score, choose, encode };

  void run_batch(std::vector<Work*> batch, ShardWriter* writer);
  void run_pass(Pass pass, const std::vector<Work*>& works, ShardWriter* writer);
  void compute(Pass pass, const Piece& piece, Buffer& buffer);
  void write(const Piece& piece, Buffer& buffer, ShardWriter* writer);
  void finish(Work& work, ShardWriter* writer);

  const Checkpoint& input_;
  const Backend& backend_;
  Effort effort_;
  const MemoryShares& shares_;
  const RunOptions& options_;
  ProgressMeter& meter_;
  StageClocks& clocks_;
  std::vector<Buffer> buffers_;
  std::optional<HostBlock> resident_;  // source data that stays between passes
};

}  // namespace afp
