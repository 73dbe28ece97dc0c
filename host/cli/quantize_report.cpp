// Bodies of quantize_report.hpp.
#include "host/cli/quantize_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/cli/outcome.hpp"
#include "host/cli/size_text.hpp"
#include "host/cli/table.hpp"
#include "host/cli/text.hpp"

namespace afp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Align = Table::Align;

// GB of source data a second; nothing where an earlier run did a part of the work.
std::optional<double> gb_per_s(const QuantizeResult& result) {
  if (result.resumed_shards > 0 || result.total_seconds <= 0.0) return std::nullopt;
  return static_cast<double>(result.source_bytes()) / 1e9 / result.total_seconds;
}

double ratio(std::uint64_t source_bytes, std::uint64_t packed_bytes) {
  return packed_bytes == 0 ? 1.0 : static_cast<double>(source_bytes) / static_cast<double>(packed_bytes);
}

Table tensor_table(const std::vector<const TensorResult*>& tensors, const std::string& heading) {
  Table table({{heading}, {"encoding"}, {"bpw", Align::right}, {"SQNR", Align::right}});
  for (const TensorResult* tensor : tensors) {
    if (tensor->encoding)
      table.add({tensor->source.name, to_string(*tensor->encoding), fmt::format("{:.2f}", tensor->bpw()),
                 decibel_text(tensor->sqnr_db())});
    else
      table.add({tensor->source.name, "kept: " + tensor->kept, "", ""});
  }
  return table;
}

std::vector<const TensorResult*> worst(const QuantizeResult& result, std::size_t count) {
  std::vector<const TensorResult*> tensors;
  for (const TensorResult& tensor : result.tensors)
    if (tensor.encoding && tensor.source.elements() > 0) tensors.push_back(&tensor);
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const TensorResult* a, const TensorResult* b) { return a->sqnr_db() < b->sqnr_db(); });
  tensors.resize(std::min(count, tensors.size()));
  return tensors;
}

std::size_t quantized_count(const QuantizeResult& result) {
  return static_cast<std::size_t>(
      std::count_if(result.tensors.begin(), result.tensors.end(),
                    [](const TensorResult& t) { return t.encoding.has_value(); }));
}

}  // namespace

std::string quantize_text(const QuantizeReport& report, std::optional<std::size_t> width) {
  const QuantizeResult& result = report.result;
  const std::size_t quantized = quantized_count(result);
  std::string out = fmt::format(
      "{} {} of {}, {} {}\n\n", report.dry_run() ? "Dry run, nothing written: would quantize" : "Quantized",
      with_thousands(quantized), plural(result.tensors.size(), "tensor"), report.dry_run() ? "keep" : "kept",
      with_thousands(result.tensors.size() - quantized));
  out += fmt::format("  size        {} -> {}, {:.2f} times smaller\n", size_text(result.source_bytes()),
                     size_text(result.packed_bytes()), ratio(result.source_bytes(), result.packed_bytes()));
  if (quantized > 0) {
    out += fmt::format("  bpw         {:.2f} bits a quantized weight, scales included\n", result.bpw());
    out += fmt::format("  SQNR        {}\n", decibel_text(result.sqnr_db()));
  }
  out += fmt::format("  time        {:.2f} s\n", result.total_seconds);
  // Stages overlap and have several threads: together they are busy for longer than the run takes.
  out += fmt::format("  busy        read {:.2f} s, search {:.2f} s, encode {:.2f} s, write {:.2f} s\n",
                     result.read_seconds, result.search_seconds, result.encode_seconds, result.write_seconds);
  if (const std::optional<double> throughput = gb_per_s(result))
    out += fmt::format("  throughput  {:.3g} GB/s of source data\n", *throughput);
  out += fmt::format("  backend     {}\n", backend_text(result.backend, report.verbose));
  if (report.dry_run()) out += fmt::format("  memory      {} at the most\n", size_text(*report.peak_memory));
  if (result.resumed_shards > 0)
    out += fmt::format("  resumed     {} of {} finished by an earlier run\n",
                       with_thousands(result.resumed_shards), plural(result.shards, "shard"));
  out += "\n";

  constexpr std::size_t kWorst = 5;
  if (report.verbose || report.dry_run()) {
    std::vector<const TensorResult*> tensors;
    for (const TensorResult& tensor : result.tensors) tensors.push_back(&tensor);
    out += tensor_table(tensors, "tensor").text(2, width);
  } else if (quantized > 0) {
    out +=
        tensor_table(worst(result, kWorst), quantized > kWorst ? "worst tensors" : "tensor").text(2, width);
  }
  return out;
}

std::string quantize_json(const QuantizeReport& report) {
  const QuantizeResult& result = report.result;
  Json tensors = Json::array();
  for (const TensorResult& tensor : result.tensors) {
    if (tensor.encoding)
      tensors.push_back({{"name", tensor.source.name},
                         {"shape", tensor.source.shape},
                         {"encoding", to_string(*tensor.encoding)},
                         {"bits", tensor.encoding->bits()},
                         {"bpw", json_number(tensor.bpw())},
                         {"sqnr_db", json_number(tensor.sqnr_db())},
                         {"packed_bytes", tensor.packed_bytes}});
    else
      tensors.push_back({{"name", tensor.source.name}, {"kept", tensor.kept}});
  }
  const std::optional<double> throughput = gb_per_s(result);
  Json json = {{"tensors", std::move(tensors)},
               {"total",
                {{"source_bytes", result.source_bytes()},
                 {"packed_bytes", result.packed_bytes()},
                 {"bpw", json_number(result.bpw())},
                 {"sqnr_db", json_number(result.sqnr_db())}}},
               {"seconds",
                {{"read", result.read_seconds},
                 {"search", result.search_seconds},
                 {"encode", result.encode_seconds},
                 {"write", result.write_seconds},
                 {"total", result.total_seconds}}},
               {"gb_per_s", throughput ? json_number(*throughput) : Json(nullptr)}};
  add_backend(json, result.backend);
  json["resumed_shards"] = result.resumed_shards;
  if (report.dry_run()) {
    json["dry_run"] = true;
    json["peak_memory"] = *report.peak_memory;
  }
  return json_line(json);
}

}  // namespace afp::cli
