// Error at equal size, in one table: one Encoding for the whole model, mixes within a budget, the original's
// rule, and the codes of OCP MXFP4 and NVFP4 under their own rules for the scale. Usage: quality
// CHECKPOINT...
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "afp/codec.hpp"
#include "afp/error.hpp"
#include "afp/model_search.hpp"
#include "afp/packed_tensor.hpp"
#include "afp/quantize.hpp"
#include "afp/scale.hpp"
#include "afp/seed_search.hpp"

namespace afp::bench {
namespace {

struct Weights {
  TensorInfo info;
  std::vector<float> values;
};

float to_float(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t i) {
  if (dtype == DType::F32) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * i, 4);
    return value;
  }
  std::uint16_t half;
  std::memcpy(&half, bytes.data() + 2 * i, 2);
  return dtype == DType::BF16 ? bf16_to_float(half) : f16_to_float(half);
}

// The tensors that are quantized by default.
std::vector<Weights> read_weights(const Checkpoint& input) {
  const std::vector<TensorInfo> infos(input.tensors().begin(), input.tensors().end());
  const std::vector<Selection> selections = select_tensors(infos, {}, {});
  std::vector<Weights> tensors;
  for (std::size_t t = 0; t < infos.size(); ++t) {
    if (!selections[t].request) continue;
    std::vector<std::byte> bytes(infos[t].bytes());
    input.read(input.tensors()[t], 0, bytes);
    Weights& weights = tensors.emplace_back(Weights{infos[t], {}});
    for (std::uint64_t i = 0; i < infos[t].elements(); ++i)
      weights.values.push_back(to_float(bytes, infos[t].dtype, i));
  }
  return tensors;
}

float absmax_of(const float* values, std::uint64_t count) {
  float largest = 0.0f;
  for (std::uint64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

double block_error(const float* values, std::uint64_t count, Format format, float scale) {
  double error = 0.0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const float magnitude = std::fabs(values[i]);
    const float y = scale > 0.0f ? magnitude * scale_reciprocal(scale) : 0.0f;
    const double distance = static_cast<double>(magnitude) -
                            static_cast<double>(decode(format, encode_magnitude(format, y))) * scale;
    error += distance * distance;
  }
  return error;
}

// Squared error of a tensor whose every block has the scale that `rule` gives for its largest magnitude.
double error_by_rule(const Weights& weights, const Encoding& encoding,
                     const std::function<float(float absmax, float tensor_absmax)>& rule) {
  const BlockGrid grid(encoding.block, encoding.bits(), weights.info.shape);
  const float tensor_absmax = absmax_of(weights.values.data(), weights.values.size());
  if (encoding.block.kind == BlockKind::tensor)
    return block_error(weights.values.data(), weights.values.size(), encoding.format,
                       rule(tensor_absmax, tensor_absmax));
  double error = 0.0;
  for (std::uint64_t cell = 0; cell < grid.cells(); ++cell) {
    const float* block = weights.values.data() + grid.weight_begin(cell);
    const auto count = static_cast<std::uint64_t>(grid.cell_weights(cell));
    error += block_error(block, count, encoding.format, rule(absmax_of(block, count), tensor_absmax));
  }
  return error;
}

// OCP MX: 2^(floor(log2 absmax) - the exponent of the largest value).
float mx_scale(float absmax, float) {
  return absmax == 0.0f ? 0.0f : std::ldexp(1.0f, std::max(-127, std::ilogb(absmax) - 2));
}

// NVFP4: absmax / 6 in units of the tensor's absmax / (6 * 448), rounded to E4M3.
float nv_scale(float absmax, float tensor_absmax) {
  const float unit = tensor_absmax / (6.0f * 448.0f);
  if (unit == 0.0f) return 0.0f;
  const float target = absmax / 6.0f / unit;
  float best = 0.0f;
  for (std::uint32_t byte = 0; byte <= kUe4m3Max; ++byte) {
    const float value = ue4m3_value(byte);
    const float distance = std::fabs(value - target), least = std::fabs(best - target);
    if (distance < least || (distance == least && byte % 2 == 0)) best = value;
  }
  return best * unit;
}

// The original's: the smallest power of two that does not clip.
float never_clipping(Format format, float absmax) {
  return absmax == 0.0f ? 0.0f : exp2_int(e8m0_first_exponent(format, absmax));
}

class Quality {
 public:
  explicit Quality(const std::string& path) : input_(Checkpoint::open(path)), tensors_(read_weights(input_)) {
    for (const Weights& weights : tensors_) {
      weights_ += static_cast<double>(weights.values.size());
      for (const float value : weights.values) signal_ += static_cast<double>(value) * value;
    }
    std::printf("\n### %s, %zu tensors, %.0f weights\n\n", input_.path().filename().string().c_str(),
                tensors_.size(), weights_);
    std::printf("| encoding | bpw | SQNR, dB |\n|---|---|---|\n");
  }

  void run() {
    original();
    by_rule("MXFP4: E2M1/32/e8m0, OCP's scale", "E2M1/32/e8m0", mx_scale);
    uniform("E2M1/32/e8m0, best scale", "E2M1/32/e8m0");
    uniform_bits("one E a tensor, N = 4, tensor blocks, best scale", "N=4,block=tensor");
    uniform_bits("one E a tensor, N = 4, block 32, e8m0, best scale", "N=4,block=32,scale=e8m0");
    by_rule("NVFP4: E2M1/16/ue4m3, absmax scale", "E2M1/16/ue4m3", nv_scale);
    uniform("E2M1/16/ue4m3, best scale", "E2M1/16/ue4m3");
    uniform("E1M2+E2M1/32/ue4m3", "E1M2+E2M1/32/ue4m3");
    uniform("E1M2+E2M1/16/ue4m3", "E1M2+E2M1/16/ue4m3");
    const CostTable table = costs("N=3..6,block=16");
    const CostTable wide = costs("N=2..8,block=16|32|64");
    double size_of_four_bits = 0.0;
    for (const Weights& weights : tensors_)
      size_of_four_bits +=
          8.0 * static_cast<double>(packed_size(parse_encoding("E1M2+E2M1/16"), weights.info.shape));
    for (const double target : {4.0, 4.25, 4.5, size_of_four_bits / weights_}) {
      mixed("mix of N = 3..6, block 16, budget " + text(target), table, target);
      mixed("mix of N = 2..8, blocks 16, 32, 64, budget " + text(target), wide, target);
    }
  }

 private:
  static std::string text(double number) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.4g", number);
    return buffer;
  }
  void add(const std::string& what, double bytes, double error) const {
    std::printf("| %s | %.3f | %.2f |\n", what.c_str(), 8.0 * bytes / weights_,
                10.0 * std::log10(signal_ / error));
  }
  CostTable costs(const std::string& candidates) const {
    CostRequest request;
    request.space = parse_candidates(candidates);
    return measure_costs(input_, request).table;
  }
  void by_rule(const char* what, const char* encoding_text, float (*rule)(float, float)) const {
    const Encoding encoding = parse_encoding(encoding_text);
    double bytes = 0.0, error = 0.0;
    for (const Weights& weights : tensors_) {
      bytes += static_cast<double>(packed_size(encoding, weights.info.shape));
      error += error_by_rule(weights, encoding, rule);
    }
    add(what, bytes, error);
  }
  void original() const {
    const std::unique_ptr<Backend> backend = make_cpu_backend();
    SeedSweepOptions options;
    options.candidates = seed_candidates(4, 4);
    options.selects = [&](const TensorInfo& info) {
      return std::any_of(tensors_.begin(), tensors_.end(),
                         [&](const Weights& weights) { return weights.info.name == info.name; });
    };
    const SeedChoice choice = best_seed_choice(seed_sweep(*backend, input_, options), 0.0);
    const Format format{
        static_cast<std::uint8_t>(std::max(1, choice.candidate.exponent_bits)),
        static_cast<std::uint8_t>(choice.candidate.bits - 1 - std::max(1, choice.candidate.exponent_bits))};
    const Encoding encoding{format, std::nullopt, {BlockKind::tensor, 0}, ScaleKind::e8m0};
    double bytes = 0.0, error = 0.0;
    for (const Weights& weights : tensors_) {
      bytes += static_cast<double>(packed_size(encoding, weights.info.shape));
      error += error_by_rule(weights, encoding,
                             [&](float absmax, float) { return never_clipping(format, absmax); });
    }
    add("the original's rule, N = 4: " + to_string(encoding) + " by KL, never clipping", bytes, error);
  }
  void uniform(const char* what, const char* encoding_text) const {
    const std::unique_ptr<Backend> backend = make_cpu_backend();
    const Encoding encoding = parse_encoding(encoding_text);
    double bytes = 0.0, error = 0.0;
    for (const Weights& weights : tensors_) {
      bytes += static_cast<double>(packed_size(encoding, weights.info.shape));
      const TensorInfo info{weights.info.name, DType::F32, weights.info.shape};
      error += quantize_tensor(*backend, info, std::as_bytes(std::span(weights.values)), {{encoding}})
                   .squared_error;
    }
    add(what, bytes, error);
  }
  void uniform_bits(const char* what, const char* candidates) const {
    const ModelSearchResult result = search_model(input_, costs(candidates), {});
    add(what, static_cast<double>(result.selected_bytes), result.squared_error);
  }
  void mixed(const std::string& what, const CostTable& table, double bpw) const {
    ModelSearchOptions options;
    options.target_bpw = bpw;
    try {
      const ModelSearchResult result = search_model(input_, table, options);
      add(what, static_cast<double>(result.selected_bytes), result.squared_error);
    } catch (const UsageError& error) {
      std::printf("| %s | - | %s |\n", what.c_str(), error.what());
    }
  }

  Checkpoint input_;
  std::vector<Weights> tensors_;
  double weights_ = 0.0, signal_ = 0.0;
};

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: quality CHECKPOINT...\n");
    return 2;
  }
  try {
    for (int i = 1; i < argc; ++i) afp::bench::Quality(argv[i]).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "quality: %s\n", error.what());
    return 1;
  }
}
