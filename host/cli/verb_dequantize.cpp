// afp dequantize: from a packed checkpoint back to a plain one.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "afp/packed_checkpoint.hpp"
#include "afp/quantize.hpp"
#include "host/cli/options_dequantize.hpp"
#include "host/cli/progress_display.hpp"
#include "host/cli/size_text.hpp"
#include "host/cli/text.hpp"
#include "host/cli/verbs.hpp"

namespace afp::cli {
namespace {

std::optional<double> gb_per_s(const DequantizeResult& result) {
  if (result.total_seconds <= 0.0) return std::nullopt;
  return static_cast<double>(result.written_bytes) / 1e9 / result.total_seconds;
}

std::string dequantize_text(const DequantizeResult& result, bool verbose) {
  std::string out = fmt::format("Dequantized {}\n\n", plural(result.tensors, "tensor"));
  out += fmt::format("  size        {} -> {}\n", size_text(result.packed_bytes),
                     size_text(result.written_bytes));
  out += fmt::format("  time        {:.2f} s\n", result.total_seconds);
  if (const std::optional<double> throughput = gb_per_s(result))
    out += fmt::format("  throughput  {:.3g} GB/s of written data\n", *throughput);
  out += fmt::format("  backend     {}\n", backend_text(result.backend, verbose));
  return out;
}

std::string dequantize_json(const DequantizeResult& result) {
  const std::optional<double> throughput = gb_per_s(result);
  nlohmann::ordered_json json = {
      {"tensors", result.tensors},
      {"packed_bytes", result.packed_bytes},
      {"written_bytes", result.written_bytes},
      {"seconds", result.total_seconds},
      {"gb_per_s", throughput ? json_number(*throughput) : nlohmann::ordered_json(nullptr)}};
  add_backend(json, result.backend);
  return json_line(json);
}

}  // namespace

Outcome dequantize(const Arguments& arguments, const std::atomic<bool>& stop) {
  DequantizeArguments parsed = parse_dequantize(arguments);
  check_backend(parsed.options.run.backend);
  const PackedCheckpoint input = PackedCheckpoint::open(parsed.input);
  ProgressDisplay display(parsed.progress);
  parsed.options.run.stop = &stop;
  parsed.options.run.progress = display.callback();
  const DequantizeResult result = dequantize_checkpoint(input, parsed.output, parsed.options);
  if (parsed.json) return {.out = dequantize_json(result)};
  return {.out = parsed.quiet ? "" : dequantize_text(result, parsed.verbose)};
}

}  // namespace afp::cli
