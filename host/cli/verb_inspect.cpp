// afp inspect: what is in a checkpoint, plain or packed.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "afp/backend.hpp"
#include "afp/checkpoint.hpp"
#include "afp/error.hpp"
#include "afp/packed_checkpoint.hpp"
#include "host/cli/options_inspect.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/size_text.hpp"
#include "host/cli/table.hpp"
#include "host/cli/terminal.hpp"
#include "host/cli/text.hpp"
#include "host/cli/verbs.hpp"
#include "host/cli/weight_stats.hpp"

namespace afp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct InspectedTensor {
  TensorInfo info;  // of a packed tensor: as it was before
  std::uint64_t bytes = 0;
  std::optional<Encoding> encoding;
  std::optional<Extent> stats;
};

struct Inspection {
  std::string kind;       // as --json names it
  std::size_t files = 1;  // that hold the tensors
  std::string effort;     // of a packed checkpoint
  std::vector<InspectedTensor> tensors;

  bool packed() const { return !effort.empty(); }
};

std::uint64_t packed_bytes(const Checkpoint& checkpoint, const PackedEntry& entry) {
  const std::vector<CheckpointTensor>& tensors = checkpoint.tensors();
  std::uint64_t bytes = tensors[entry.data].bytes();
  if (entry.encoding) bytes += tensors[entry.scales].bytes();
  if (entry.tensor_scale) bytes += tensors[*entry.tensor_scale].bytes();
  return bytes;
}

std::uint64_t total_bytes(const Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (const CheckpointTensor& tensor : checkpoint.tensors()) bytes += tensor.bytes();
  return bytes;
}

// Reads the weights of a whole checkpoint; on a terminal with a bar.
class StatsReader {
 public:
  StatsReader(const Checkpoint& checkpoint, const BackendChoice& backend, const std::atomic<bool>& stop)
      : checkpoint_(checkpoint),
        stop_(stop),
        backend_(make_backend(backend).backend),
        display_(is_terminal(stderr) ? ProgressMode::bar : ProgressMode::none),
        report_(display_.callback()) {
    progress_.bytes_total = total_bytes(checkpoint);
  }

  std::optional<Extent> read(const CheckpointTensor& tensor) {
    progress_.tensor = tensor.name;
    return weight_stats(*backend_, checkpoint_, tensor, piece_read());
  }
  std::optional<Extent> read(const PackedEntry& entry) {
    if (!entry.encoding) return read(checkpoint_.tensors()[entry.data]);
    progress_.tensor = entry.source.name;
    return packed_weight_stats(*backend_, checkpoint_, entry, piece_read());
  }

 private:
  PieceRead piece_read() {
    return [this](std::uint64_t bytes) {
      if (stop_) throw Interrupted();
      progress_.bytes_done += bytes;
      if (report_) report_(progress_);
    };
  }

  const Checkpoint& checkpoint_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<Backend> backend_;
  ProgressDisplay display_;
  ProgressCallback report_;
  Progress progress_;
};

Inspection inspect_packed(const InspectArguments& arguments, const std::atomic<bool>& stop) {
  const PackedCheckpoint packed = PackedCheckpoint::open(arguments.path);
  const Checkpoint& checkpoint = packed.checkpoint();
  Inspection inspection{
      .kind = "afp", .files = checkpoint.shards().size(), .effort = packed.effort(), .tensors = {}};
  for (const PackedEntry& entry : packed.entries())
    inspection.tensors.push_back({entry.source, packed_bytes(checkpoint, entry), entry.encoding, {}});
  if (!arguments.stats) return inspection;
  StatsReader reader(checkpoint, arguments.backend, stop);
  for (std::size_t i = 0; i < inspection.tensors.size(); ++i)
    inspection.tensors[i].stats = reader.read(packed.entries()[i]);
  return inspection;
}

Inspection inspect_plain(const InspectArguments& arguments, const std::atomic<bool>& stop) {
  const Checkpoint checkpoint = Checkpoint::open(arguments.path);
  Inspection inspection{.kind = checkpoint.kind() == CheckpointKind::sharded ? "sharded" : "safetensors",
                        .files = checkpoint.shards().size(),
                        .effort = {},
                        .tensors = {}};
  for (const CheckpointTensor& tensor : checkpoint.tensors())
    inspection.tensors.push_back({tensor, tensor.bytes(), std::nullopt, {}});
  if (!arguments.stats) return inspection;
  StatsReader reader(checkpoint, arguments.backend, stop);
  for (std::size_t i = 0; i < inspection.tensors.size(); ++i)
    inspection.tensors[i].stats = reader.read(checkpoint.tensors()[i]);
  return inspection;
}

struct Totals {
  std::uint64_t bytes = 0, weights = 0;
  std::uint64_t packed_bytes = 0, packed_weights = 0;  // of the packed tensors

  double bpw() const {
    return packed_weights == 0
               ? 0.0
               : 8.0 * static_cast<double>(packed_bytes) / static_cast<double>(packed_weights);
  }
};

Totals totals_of(const Inspection& inspection) {
  Totals totals;
  for (const InspectedTensor& tensor : inspection.tensors) {
    totals.bytes += tensor.bytes;
    totals.weights += tensor.info.elements();
    if (!tensor.encoding) continue;
    totals.packed_bytes += tensor.bytes;
    totals.packed_weights += tensor.info.elements();
  }
  return totals;
}

std::string bpw_text(const InspectedTensor& tensor) {
  const std::uint64_t weights = tensor.info.elements();
  if (!tensor.encoding || weights == 0) return "";
  return fmt::format("{:.2f}", 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(weights));
}

std::string inspect_text(const std::string& path, const Inspection& inspection, bool stats) {
  using Column = Table::Column;
  std::vector<Column> columns = {{"tensor"}};
  if (inspection.packed()) columns.push_back({"encoding"});
  columns.push_back({"dtype"});
  columns.push_back({"shape"});
  columns.push_back({"size", Table::Align::right});
  if (inspection.packed()) columns.push_back({"bpw", Table::Align::right});
  if (stats)
    for (const char* heading : {"absmax", "zeros", "nonfinite"})
      columns.push_back({heading, Table::Align::right});

  Table table(columns);
  for (const InspectedTensor& tensor : inspection.tensors) {
    std::vector<std::string> row = {tensor.info.name};
    if (inspection.packed()) row.push_back(tensor.encoding ? to_string(*tensor.encoding) : "kept");
    row.emplace_back(dtype_name(tensor.info.dtype));
    row.push_back(to_string(tensor.info.shape));
    row.push_back(size_text(tensor.bytes));
    if (inspection.packed()) row.push_back(bpw_text(tensor));
    if (stats && tensor.stats) {
      row.push_back(fmt::format("{:.4g}", tensor.stats->absmax));
      row.push_back(with_thousands(tensor.stats->zeros));
      row.push_back(with_thousands(tensor.stats->nonfinite));
    } else if (stats) {
      row.insert(row.end(), 3, "");
    }
    table.add(std::move(row));
  }

  const std::string what = inspection.packed()            ? "packed by afp, effort " + inspection.effort
                           : inspection.kind == "sharded" ? "sharded safetensors"
                                                          : "safetensors";
  const Totals totals = totals_of(inspection);
  std::string out = printable(path) + ": " + what + ", " + plural(inspection.files, "file") + "\n\n" +
                    table.text(0, terminal_width(stdout)) + "\n" +
                    plural(inspection.tensors.size(), "tensor") + ", " + plural(totals.weights, "weight") +
                    ", " + size_text(totals.bytes);
  if (totals.packed_weights > 0) out += fmt::format(", {:.2f} bits a packed weight", totals.bpw());
  return out + "\n";
}

std::string inspect_json(const Inspection& inspection) {
  Json tensors = Json::array();
  for (const InspectedTensor& tensor : inspection.tensors) {
    Json json = {{"name", tensor.info.name},
                 {"dtype", dtype_name(tensor.info.dtype)},
                 {"shape", tensor.info.shape},
                 {"bytes", tensor.bytes}};
    if (tensor.encoding) json["encoding"] = to_string(*tensor.encoding);
    if (tensor.stats) {
      json["absmax"] = tensor.stats->absmax;
      json["zeros"] = tensor.stats->zeros;
      json["nonfinite"] = tensor.stats->nonfinite;
    }
    tensors.push_back(std::move(json));
  }
  const Totals totals = totals_of(inspection);
  Json total = {{"tensors", inspection.tensors.size()}, {"bytes", totals.bytes}, {"weights", totals.weights}};
  if (totals.packed_weights > 0) total["bpw"] = totals.bpw();
  return json_line({{"kind", inspection.kind}, {"tensors", std::move(tensors)}, {"total", std::move(total)}});
}

}  // namespace

Outcome inspect(const Arguments& arguments, const std::atomic<bool>& stop) {
  const InspectArguments parsed = parse_inspect(arguments);
  check_backend(parsed.backend);
  const Inspection inspection =
      is_packed_checkpoint(parsed.path) ? inspect_packed(parsed, stop) : inspect_plain(parsed, stop);
  return {.out =
              parsed.json ? inspect_json(inspection) : inspect_text(parsed.path, inspection, parsed.stats)};
}

}  // namespace afp::cli
