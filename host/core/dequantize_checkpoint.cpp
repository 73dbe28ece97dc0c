// dequantize_checkpoint: packed shards in, plain shards of the same names out, in pieces.
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory_resource>
#include <nlohmann/json.hpp>

#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "host/checkpoint/config_json.hpp"
#include "host/checkpoint/digest.hpp"
#include "host/checkpoint/file.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/output_folder.hpp"
#include "host/checkpoint/shard_index.hpp"
#include "host/checkpoint/shard_writer.hpp"
#include "host/core/memory_shares.hpp"
#include "host/core/packed_reader.hpp"
#include "host/core/piece_pipeline.hpp"
#include "host/core/progress_meter.hpp"

namespace afp {
namespace {

constexpr std::uint64_t kLongestText = std::uint64_t{1} << 30;

// A tensor of the output shard: a packed one with its reader, or one to be copied.
struct OutputTensor {
  const PackedEntry* entry;
  TensorInfo info;
  std::optional<PackedReader> reader;
};

struct Piece {
  std::size_t tensor;    // of the output shard
  CellRange cells;       // of a packed tensor
  std::uint64_t offset;  // of its bytes in the output tensor
  std::uint64_t bytes;
};

struct Buffer {
  explicit Buffer(std::pmr::memory_resource& memory) : weights(&memory), narrow(&memory) {}

  std::vector<std::uint8_t> codes, scales;
  std::pmr::vector<std::byte> weights;  // as they are written
  std::pmr::vector<std::byte> narrow;   // F32 on its way to F64
};

void widen_to_f64(std::span<const std::byte> from, std::span<std::byte> to) {
  for (std::size_t i = 0; i < from.size() / sizeof(float); ++i) {
    float narrow;
    std::memcpy(&narrow, from.data() + i * sizeof narrow, sizeof narrow);
    const double wide = narrow;
    std::memcpy(to.data() + i * sizeof wide, &wide, sizeof wide);
  }
}

std::uint64_t bytes_of_weights(std::uint64_t weights, DType dtype) {
  return weights * (static_cast<std::uint64_t>(dtype_bits(dtype)) / 8);
}

class CheckpointDequantizer {
 public:
  CheckpointDequantizer(const PackedCheckpoint& input, const DequantizeOptions& options)
      : input_(input),
        source_(input.checkpoint()),
        options_(options),
        threads_(thread_count(options.run)),
        backend_(make_backend(options.run.backend, threads_)),
        shares_(shares_of(options.run, *backend_.backend)),
        meter_(options.run.progress, total_bytes()) {
    while (buffers_.size() < shares_.pieces) buffers_.emplace_back(backend_.backend->host_memory());
    if (options.dtype && !is_quantizable(*options.dtype)) {
      throw UsageError("weights cannot be written as " + std::string(dtype_name(*options.dtype)) +
                       "; expected BF16, F16, F32 or F64");
    }
  }

  DequantizeResult run(const std::filesystem::path& output) {
    const auto begin = std::chrono::steady_clock::now();
    result_.packed_bytes = total_bytes();
    OutputFolder folder(output, source_, job_text(), options_.force);
    tbb::task_arena arena(threads_);
    for (std::size_t shard = 0; shard < source_.shards().size(); ++shard)
      arena.execute([&] { dequantize_shard(shard, folder); });
    complete(folder);
    meter_.finish();
    result_.backend = backend_.use();
    result_.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result_;
  }

 private:
  std::uint64_t total_bytes() const {
    std::uint64_t bytes = 0;
    for (const CheckpointTensor& tensor : source_.tensors()) bytes += tensor.bytes();
    return bytes;
  }

  // Everything that decides the bytes of the output. The manifest has the digests of all data.
  std::string job_text() const {
    const std::string manifest = read_text_file(source_.folder() / kManifestFile, kLongestText);
    Digest128 digest;
    digest.update(std::as_bytes(std::span(manifest)));
    nlohmann::ordered_json job;
    job["job"] = "dequantize";
    job["version"] = 1;
    job["dtype"] = options_.dtype ? nlohmann::ordered_json(dtype_name(*options_.dtype)) : nullptr;
    job["manifest"] = digest.hex();
    for (const CheckpointShard& shard : source_.shards())
      job["shards"].push_back({shard.file_name, shard.file_bytes, shard.header_digest, shard.modified_ns});
    return job.dump();
  }

  // Those of the shard, in the source's order.
  std::deque<OutputTensor> tensors_of(std::size_t shard) const {
    std::deque<OutputTensor> tensors;
    for (const PackedEntry& entry : input_.entries()) {
      if (source_.tensors()[entry.data].shard != shard) continue;
      OutputTensor& tensor = tensors.emplace_back(OutputTensor{&entry, entry.source, std::nullopt});
      if (entry.encoding && options_.dtype) tensor.info.dtype = *options_.dtype;
    }
    return tensors;
  }

  void open_reader(OutputTensor& tensor) const {
    if (!tensor.entry->encoding) return;
    tensor.reader.emplace(input_, *tensor.entry);
    if (!tensor.reader->tensor_scale_is_valid()) {
      throw InputError("its scale is " + std::to_string(tensor.reader->codec().tensor_scale) +
                           ", expected a positive finite number",
                       tensor.reader->file(), tensor_scale_name(tensor.info.name));
    }
  }

  std::vector<Piece> pieces_of(const std::deque<OutputTensor>& tensors) const {
    std::vector<Piece> pieces;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const OutputTensor& tensor = tensors[t];
      if (tensor.reader) {
        const BlockGrid& grid = tensor.reader->grid();
        for (const CellRange cells : cut_into_pieces(grid, shares_.piece_bytes / sizeof(float))) {
          pieces.push_back({t, cells, bytes_of_weights(grid.weight_begin(cells.first), tensor.info.dtype),
                            bytes_of_weights(tensor.reader->weights(cells), tensor.info.dtype)});
        }
        continue;
      }
      const std::uint64_t size = tensor.info.bytes();
      for (std::uint64_t begin = 0; begin < size; begin += shares_.piece_bytes)
        pieces.push_back({t, {}, begin, std::min(shares_.piece_bytes, size - begin)});
    }
    return pieces;
  }

  void dequantize_shard(std::size_t shard, OutputFolder& folder) {
    const std::string& name = source_.shards()[shard].file_name;
    std::deque<OutputTensor> tensors = tensors_of(shard);
    std::vector<TensorInfo> infos;
    for (const OutputTensor& tensor : tensors) {
      infos.push_back(tensor.info);
      shard_of_[tensor.info.name] = name;
      result_.written_bytes += tensor.info.bytes();
      result_.tensors += tensor.entry->encoding.has_value();
    }
    if (folder.finished_shard(name)) {
      for (const std::size_t t : source_.shards()[shard].tensors)
        meter_.add(source_.tensors()[t].bytes(), source_.tensors()[t].name);
      return;
    }
    for (OutputTensor& tensor : tensors) open_reader(tensor);
    ShardWriter writer(folder.file(name), infos, source_.shards()[shard].metadata);
    const std::vector<Piece> pieces = pieces_of(tensors);
    run_pieces(
        pieces.size(), buffers_, options_.run.stop,
        [&](std::size_t p, Buffer& buffer) { read(pieces[p], tensors[pieces[p].tensor], buffer); },
        [&](std::size_t p, Buffer& buffer) { compute(pieces[p], tensors[pieces[p].tensor], buffer); },
        [&](std::size_t p, Buffer& buffer) {
          writer.write(pieces[p].tensor, pieces[p].offset, buffer.weights);
        });
    writer.commit();
    folder.shard_finished(name, "");
  }

  void read(const Piece& piece, const OutputTensor& tensor, Buffer& buffer) {
    buffer.weights.resize(piece.bytes);
    if (!tensor.reader) {
      source_.read(source_.tensors()[tensor.entry->data], piece.offset, buffer.weights);
      meter_.add(piece.bytes, tensor.info.name);
      return;
    }
    tensor.reader->read_codes(piece.cells, buffer.codes);
    tensor.reader->read_scales(piece.cells, buffer.scales);
    const std::uint64_t tensor_scale =
        piece.cells.first == 0 && tensor.entry->tensor_scale ? sizeof(float) : 0;
    meter_.add(buffer.codes.size() + tensor.reader->new_scale_count(piece.cells) + tensor_scale,
               tensor.info.name);
  }

  void compute(const Piece& piece, const OutputTensor& tensor, Buffer& buffer) const {
    if (!tensor.reader) return;
    const PackedReader& reader = *tensor.reader;
    if (const auto invalid = find_invalid_scale(reader.codec().encoding, buffer.scales)) {
      throw InputError("scale byte " + std::to_string(buffer.scales[*invalid]) + " of block " +
                           std::to_string(reader.grid().scale_index(piece.cells.first) + *invalid) +
                           " is no scale",
                       reader.file(), scales_name(tensor.info.name));
    }
    const bool wide = tensor.info.dtype == DType::F64;
    if (wide) buffer.narrow.resize(buffer.weights.size() / 2);
    backend_.backend->dequantize(reader.grid(), piece.cells, reader.codec(), buffer.scales, buffer.codes,
                                 wide ? DType::F32 : tensor.info.dtype,
                                 wide ? buffer.narrow : buffer.weights);
    if (wide) widen_to_f64(buffer.narrow, buffer.weights);
  }

  void complete(OutputFolder& folder) {
    folder.copy_other_files(source_);
    if (source_.kind() == CheckpointKind::sharded)
      folder.write(kShardIndexFile, serialize_shard_index(shard_of_, result_.written_bytes));
    const std::filesystem::path config = source_.folder() / kConfigFile;
    if (!std::filesystem::exists(config)) {
      folder.commit();
      return;
    }
    const std::string text = read_text_file(config, kLongestText);
    folder.commit(kConfigFile, remove_top_level_key(text, "quantization_config", config.string()));
  }

  const PackedCheckpoint& input_;
  const Checkpoint& source_;
  const DequantizeOptions& options_;
  int threads_;
  ChosenBackend backend_;
  MemoryShares shares_;
  ProgressMeter meter_;
  std::vector<Buffer> buffers_;
  WeightMap shard_of_;
  DequantizeResult result_;
};

}  // namespace

DequantizeResult dequantize_checkpoint(const PackedCheckpoint& input, const std::filesystem::path& output,
                                       const DequantizeOptions& options) {
  return CheckpointDequantizer(input, options).run(output);
}

}  // namespace afp
