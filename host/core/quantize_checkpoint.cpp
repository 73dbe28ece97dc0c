// The whole line over a checkpoint: select, then shard by shard quantize and write, then the files
// that make the output complete.
#include <tbb/task_arena.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "host/checkpoint/config_json.hpp"
#include "host/checkpoint/file.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/output_folder.hpp"
#include "host/checkpoint/shard_index.hpp"
#include "host/core/decibel.hpp"
#include "host/core/input_checks.hpp"
#include "host/core/shard_quantizer.hpp"

namespace afp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxConfigBytes = 64 << 20;
// What the process needs beside pieces and tensors: code, libraries, headers.
constexpr std::uint64_t kBaseMemory = 24 << 20;

std::vector<ShardQuantizer::Item> items_of(const Checkpoint& input, const CheckpointShard& shard,
                                           const QuantizePlan& plan) {
  std::vector<ShardQuantizer::Item> items;
  for (const std::size_t t : shard.tensors)
    items.push_back({&input.tensors()[t], &plan.tensors[t].candidates, &plan.tensors[t].kept});
  return items;
}

// A packed tensor brings names of its own; they must not be those of other tensors.
void check_names(const Checkpoint& input, const QuantizePlan& plan) {
  std::set<std::string> taken;
  for (const CheckpointTensor& tensor : input.tensors()) taken.insert(tensor.name);
  for (std::size_t t = 0; t < plan.tensors.size(); ++t) {
    if (plan.tensors[t].candidates.empty()) continue;
    for (const std::string& name :
         {scales_name(input.tensors()[t].name), tensor_scale_name(input.tensors()[t].name)}) {
      if (taken.contains(name))
        throw InputError("quantizing it adds a tensor '" + name + "', which exists already",
                         input.path().string(), input.tensors()[t].name);
    }
  }
}

// Everything that decides the bytes of the output, as text.
std::string job_text(const Checkpoint& input, const QuantizePlan& plan, Effort effort) {
  Json job;
  job["job"] = "quantize";
  job["version"] = 1;
  job["effort"] = effort == Effort::exact ? "exact" : "fast";
  for (const CheckpointShard& shard : input.shards())
    job["shards"].push_back({shard.file_name, shard.file_bytes, shard.header_digest, shard.modified_ns});
  for (std::size_t t = 0; t < plan.tensors.size(); ++t) {
    Json encodings = Json::array();
    for (const Encoding& encoding : plan.tensors[t].candidates) encodings.push_back(to_string(encoding));
    job["tensors"].push_back({input.tensors()[t].name, plan.tensors[t].kept, encodings});
  }
  return job.dump();
}

TensorResult result_of(const ManifestEntry& entry) {
  TensorResult result;
  result.source = entry.source;
  result.encoding = entry.encoding;
  result.kept = entry.kept;
  result.source_bytes = entry.source.bytes();
  result.packed_bytes =
      entry.encoding ? packed_size(*entry.encoding, entry.source.shape) : result.source_bytes;
  result.squared_error = entry.squared_error;
  result.signal = entry.signal;
  return result;
}

// A shard keeps its name; a single file gets the usual one.
std::string output_shard_name(const Checkpoint& input, const CheckpointShard& shard) {
  return input.shards().size() == 1 ? "model.safetensors" : shard.file_name;
}

// What is to become of the tensors: as the request and the rules have it, or as a plan has it.
std::vector<QuantizePlan::Entry> entries_of(const EncodingRequest& request, const std::vector<Rule>& rules,
                                            const std::vector<TensorInfo>& infos) {
  std::vector<QuantizePlan::Entry> entries;
  for (const Selection& selection : select_tensors(infos, request, rules)) {
    QuantizePlan::Entry& entry = entries.emplace_back();
    entry.kept = selection.kept;
    if (selection.request) entry.candidates = selection.request->candidates();
  }
  return entries;
}

std::vector<QuantizePlan::Entry> entries_of(const Plan& plan, const std::vector<TensorInfo>& infos) {
  std::vector<QuantizePlan::Entry> entries;
  for (std::size_t t = 0; t < infos.size(); ++t) {
    if (t >= plan.tensors.size() || plan.tensors[t].name != infos[t].name)
      throw UsageError("the plan is not of this checkpoint: tensor '" + infos[t].name +
                       "' is not at its place");
    QuantizePlan::Entry& entry = entries.emplace_back();
    entry.kept = plan.tensors[t].kept;
    if (plan.tensors[t].encoding) entry.candidates = {*plan.tensors[t].encoding};
  }
  return entries;
}

QuantizePlan plan_within(const MemoryShares& shares, const Checkpoint& input,
                         const QuantizeOptions& options) {
  require_plain(input);
  const std::vector<TensorInfo> infos(input.tensors().begin(), input.tensors().end());
  QuantizePlan plan;
  plan.tensors =
      options.plan ? entries_of(*options.plan, infos) : entries_of(options.request, options.rules, infos);
  for (std::size_t t = 0; t < infos.size(); ++t) {
    QuantizePlan::Entry& entry = plan.tensors[t];
    entry.bytes =
        entry.candidates.empty() ? infos[t].bytes() : packed_size(entry.candidates.front(), infos[t].shape);
  }
  check_names(input, plan);
  const std::uint64_t in_pieces = 2 * shares.pieces * shares.piece_bytes;
  plan.peak_memory = kBaseMemory + in_pieces +
                     std::min(
                         shares.resident_bytes, 2 * [&] {
                           std::uint64_t bytes = 0;
                           for (const TensorInfo& info : infos) bytes += info.bytes();
                           return bytes;
                         }());
  return plan;
}

class CheckpointQuantizer {
 public:
  CheckpointQuantizer(const Checkpoint& input, const QuantizeOptions& options)
      : input_(input),
        options_(options),
        threads_(thread_count(options.run)),
        backend_(make_backend(options.run.backend, threads_)),
        shares_(shares_of(options.run, *backend_.backend)),
        plan_(plan_within(shares_, input, options)),
        meter_(options.run.progress, source_bytes(input)) {}

  QuantizeResult run(const std::filesystem::path& output) {
    const auto begin = std::chrono::steady_clock::now();
    std::optional<OutputFolder> folder;
    if (!options_.dry_run)
      folder.emplace(output, input_, job_text(input_, plan_, options_.effort), options_.force);

    Manifest manifest;
    manifest.effort = options_.effort == Effort::exact ? "exact" : "fast";
    try {
      for (const CheckpointShard& shard : input_.shards()) {
        for (ManifestEntry& entry : quantize_shard(shard, folder ? &*folder : nullptr))
          manifest.tensors.push_back(std::move(entry));
      }
      if (folder) complete(*folder, manifest);
    } catch (const InputError&) {
      if (folder) folder->discard();
      throw;
    }
    meter_.finish();

    for (const ManifestEntry& entry : manifest.tensors) result_.tensors.push_back(result_of(entry));
    result_.backend = backend_.use();
    result_.shards = input_.shards().size();
    result_.read_seconds = clocks_.read.seconds();
    result_.search_seconds = clocks_.search.seconds();
    result_.encode_seconds = clocks_.encode.seconds();
    result_.write_seconds = clocks_.write.seconds();
    result_.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(result_);
  }

 private:
  static std::uint64_t source_bytes(const Checkpoint& input) {
    std::uint64_t bytes = 0;
    for (const CheckpointTensor& tensor : input.tensors()) bytes += tensor.bytes();
    return bytes;
  }

  std::vector<ManifestEntry> quantize_shard(const CheckpointShard& shard, OutputFolder* folder) {
    const std::vector<ShardQuantizer::Item> items = items_of(input_, shard, plan_);
    const std::vector<ShardQuantizer::OutputTensor> outputs = ShardQuantizer::output_tensors(items);
    const std::string name = output_shard_name(input_, shard);
    for (const ShardQuantizer::OutputTensor& tensor : outputs) shard_of_[tensor.info.name] = name;

    if (folder) {
      if (const std::optional<std::string> record = folder->finished_shard(name)) {
        ++result_.resumed_shards;
        std::vector<ManifestEntry> entries = parse_entries(*record, folder->file(name).string());
        for (const ManifestEntry& entry : entries) meter_.add(entry.source.bytes(), entry.source.name);
        return entries;
      }
    }
    std::optional<ShardWriter> writer;
    if (folder) {
      std::vector<TensorInfo> infos;
      for (const ShardQuantizer::OutputTensor& tensor : outputs) infos.push_back(tensor.info);
      writer.emplace(folder->file(name), infos, output_metadata(shard));
    }
    std::vector<ManifestEntry> entries;
    ShardQuantizer quantizer(input_, *backend_.backend, options_.effort, shares_, options_.run, meter_,
                             clocks_);
    tbb::task_arena arena(threads_);
    const std::string file = (input_.folder() / shard.file_name).string();
    try {
      arena.execute([&] { entries = quantizer.run(items, writer ? &*writer : nullptr); });
    } catch (const InputError& error) {
      // The passes over a tensor do not know the file it came from.
      if (!error.file().empty()) throw;
      throw InputError(error.what(), file);
    }
    if (folder) {
      clocks_.write.time([&] { writer->commit(); });
      folder->shard_finished(name, entries_to_json(entries));
    }
    return entries;
  }

  void complete(OutputFolder& folder, const Manifest& manifest) {
    clocks_.write.time([&] {
      folder.copy_other_files(input_);
      if (input_.shards().size() > 1) {
        std::uint64_t total = 0;
        for (const ManifestEntry& entry : manifest.tensors) total += result_of(entry).packed_bytes;
        folder.write(kShardIndexFile, serialize_shard_index(shard_of_, total));
      }
      const std::filesystem::path config = input_.folder() / kConfigFile;
      if (!input_.is_folder() || !std::filesystem::exists(config)) {
        folder.commit(kManifestFile, to_json(manifest));
        return;
      }
      folder.write(kManifestFile, to_json(manifest));
      const std::string text = read_text_file(config, kMaxConfigBytes);
      folder.commit(kConfigFile, set_top_level_key(text, "quantization_config", quantization_config(manifest),
                                                   config.string()));
    });
  }

  const Checkpoint& input_;
  const QuantizeOptions& options_;
  int threads_;
  ChosenBackend backend_;
  MemoryShares shares_;
  QuantizePlan plan_;
  ProgressMeter meter_;
  StageClocks clocks_;
  std::map<std::string, std::string> shard_of_;  // output tensor -> file
  QuantizeResult result_;
};

}  // namespace

double TensorResult::bpw() const {
  const std::uint64_t weights = source.elements();
  return weights == 0 ? 0.0 : 8.0 * static_cast<double>(packed_bytes) / static_cast<double>(weights);
}
double TensorResult::sqnr_db() const {
  return decibel(signal, squared_error);
}

std::uint64_t QuantizeResult::source_bytes() const {
  std::uint64_t bytes = 0;
  for (const TensorResult& tensor : tensors) bytes += tensor.source_bytes;
  return bytes;
}
std::uint64_t QuantizeResult::packed_bytes() const {
  std::uint64_t bytes = 0;
  for (const TensorResult& tensor : tensors) bytes += tensor.packed_bytes;
  return bytes;
}
double QuantizeResult::bpw() const {
  double bits = 0.0, weights = 0.0;
  for (const TensorResult& tensor : tensors) {
    if (!tensor.encoding) continue;
    bits += 8.0 * static_cast<double>(tensor.packed_bytes);
    weights += static_cast<double>(tensor.source.elements());
  }
  return weights == 0.0 ? 0.0 : bits / weights;
}
double QuantizeResult::sqnr_db() const {
  double error = 0.0, signal = 0.0;
  for (const TensorResult& tensor : tensors) {
    error += tensor.squared_error;
    signal += tensor.signal;
  }
  return decibel(signal, error);
}

QuantizePlan plan_quantization(const Checkpoint& input, const QuantizeOptions& options) {
  const ChosenBackend backend = make_backend(options.run.backend, options.run.threads);
  return plan_within(shares_of(options.run, *backend.backend), input, options);
}

void require_free_output(const std::filesystem::path& output, const Checkpoint& input, bool force) {
  OutputFolder::require_free(output, input, force);
}

QuantizeResult quantize_checkpoint(const Checkpoint& input, const std::filesystem::path& output,
                                   const QuantizeOptions& options) {
  return CheckpointQuantizer(input, options).run(output);
}

}  // namespace afp
