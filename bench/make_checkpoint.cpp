// Writes a synthetic bf16 checkpoint with the names and shapes of a LLaMA: the input of pipeline.sh. Pieces
// are made and written by several threads; memory does not grow with the file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "afp/codec.hpp"
#include "afp/tensor.hpp"
#include "host/checkpoint/pending_file.hpp"
#include "host/checkpoint/shard_index.hpp"
#include "host/checkpoint/shard_writer.hpp"
#include "weights.hpp"

namespace afp::bench {
namespace {

constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20;
constexpr std::uint64_t kHeads = 32;
constexpr std::uint64_t kKeyValueHeads = 4;
constexpr std::uint64_t kFewestLayers = 12;  // a model is deep before it is wide

// The shape of a model, all of it from its width; TinyLlama's proportions.
struct Model {
  std::uint64_t hidden;
  std::uint64_t layers;

  std::uint64_t vocabulary() const { return 16 * hidden; }
  std::uint64_t intermediate() const { return hidden * 11 / 4; }
  std::uint64_t key_value() const { return hidden / kHeads * kKeyValueHeads; }
};

std::vector<TensorInfo> tensors_of(const Model& model) {
  std::vector<TensorInfo> tensors;
  const auto add = [&](const std::string& name, Shape shape) {
    tensors.push_back({name + ".weight", DType::BF16, std::move(shape)});
  };
  add("model.embed_tokens", {model.vocabulary(), model.hidden});
  for (std::uint64_t i = 0; i < model.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm", {model.hidden});
    add(layer + "self_attn.q_proj", {model.hidden, model.hidden});
    add(layer + "self_attn.k_proj", {model.key_value(), model.hidden});
    add(layer + "self_attn.v_proj", {model.key_value(), model.hidden});
    add(layer + "self_attn.o_proj", {model.hidden, model.hidden});
    add(layer + "post_attention_layernorm", {model.hidden});
    add(layer + "mlp.gate_proj", {model.intermediate(), model.hidden});
    add(layer + "mlp.up_proj", {model.intermediate(), model.hidden});
    add(layer + "mlp.down_proj", {model.hidden, model.intermediate()});
  }
  add("model.norm", {model.hidden});
  add("lm_head", {model.vocabulary(), model.hidden});
  return tensors;
}

std::uint64_t bytes_of(const std::vector<TensorInfo>& tensors) {
  std::uint64_t bytes = 0;
  for (const TensorInfo& tensor : tensors) bytes += tensor.bytes();
  return bytes;
}

// The widest model of at least kFewestLayers layers (or the narrowest one), to the nearest layer.
Model model_of(std::uint64_t bytes) {
  for (std::uint64_t hidden = 8192;; hidden /= 2) {
    const std::uint64_t without = bytes_of(tensors_of({hidden, 0}));
    const std::uint64_t layer = bytes_of(tensors_of({hidden, 1})) - without;
    const std::uint64_t layers = bytes > without ? (bytes - without + layer / 2) / layer : 0;
    if (layers >= kFewestLayers || hidden == 128) return {hidden, std::max<std::uint64_t>(layers, 1)};
  }
}

std::string config_json(const Model& model) {
  nlohmann::ordered_json config;
  config["architectures"] = {"LlamaForCausalLM"};
  config["hidden_act"] = "silu";
  config["hidden_size"] = model.hidden;
  config["intermediate_size"] = model.intermediate();
  config["max_position_embeddings"] = 2048;
  config["model_type"] = "llama";
  config["num_attention_heads"] = kHeads;
  config["num_hidden_layers"] = model.layers;
  config["num_key_value_heads"] = kKeyValueHeads;
  config["rms_norm_eps"] = 1e-05;
  config["tie_word_embeddings"] = false;
  config["torch_dtype"] = "bfloat16";
  config["vocab_size"] = model.vocabulary();
  return config.dump(2) + "\n";
}

// A tensor's weights depend on its place in the model alone, not on how the model is cut into shards.
std::uint64_t tensor_seed(std::uint64_t seed, std::size_t index) {
  return (seed << 20) + index;
}

// As many rows of a tensor as fit, from row `first` on.
void fill_rows(const TensorInfo& tensor, const WeightRows& rows, std::uint64_t first,
               std::span<std::uint16_t> weights) {
  if (tensor.shape.size() == 1) {  // a normalization as it is initialized
    std::fill(weights.begin(), weights.end(), float_to_bf16(1.0f));
    return;
  }
  const std::uint64_t columns = tensor.shape[1];
  for (std::uint64_t done = 0; done < weights.size(); done += columns)
    rows.fill(first + done / columns, weights.subspan(done, columns));
}

// Threads take pieces of the shard's tensors, one after another; the first failure ends them all.
void write_shard(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                 std::size_t first_tensor, std::uint64_t seed, int threads) {
  struct Piece {
    std::size_t tensor;
    std::uint64_t first_row, rows;
  };
  std::vector<WeightRows> sources;
  std::vector<Piece> pieces;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const Shape& shape = tensors[t].shape;
    const std::uint64_t rows = shape.size() == 1 ? 1 : shape[0];
    const std::uint64_t columns = shape.back();
    sources.emplace_back(Tails::heavy, tensor_seed(seed, first_tensor + t), columns);
    const std::uint64_t step = std::max<std::uint64_t>(1, kPieceBytes / (columns * sizeof(std::uint16_t)));
    for (std::uint64_t row = 0; row < rows; row += step)
      pieces.push_back({t, row, std::min(step, rows - row)});
  }

  ShardWriter writer(path, tensors, {{"format", "pt"}});
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      std::vector<std::uint16_t> weights;
      for (std::size_t p = next++; p < pieces.size(); p = next++) {
        const auto& [tensor, first_row, rows] = pieces[p];
        const std::uint64_t columns = tensors[tensor].shape.back();
        weights.resize(rows * columns);
        fill_rows(tensors[tensor], sources[tensor], first_row, weights);
        writer.write(tensor, first_row * columns * sizeof(std::uint16_t), std::as_bytes(std::span(weights)));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      next = pieces.size();
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < threads; ++i) workers.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
  writer.commit();
}

// Tensors in order, cut into `count` parts of about equal bytes.
std::vector<std::vector<TensorInfo>> cut(const std::vector<TensorInfo>& tensors, std::size_t count) {
  std::vector<std::vector<TensorInfo>> shards;
  const std::uint64_t total = bytes_of(tensors);
  std::uint64_t done = 0;
  for (const TensorInfo& tensor : tensors) {
    if (shards.empty() || (shards.size() < count && done >= total / count * shards.size()))
      shards.emplace_back();
    shards.back().push_back(tensor);
    done += tensor.bytes();
  }
  return shards;
}

void write_checkpoint(const std::filesystem::path& folder, const Model& model, std::size_t shard_count,
                      std::uint64_t seed, int threads) {
  const std::vector<TensorInfo> tensors = tensors_of(model);
  const auto shards = cut(tensors, shard_count);
  std::filesystem::create_directories(folder);
  WeightMap weight_map;
  std::size_t first_tensor = 0;
  for (std::size_t s = 0; s < shards.size(); ++s) {
    const std::string name = shards.size() == 1 ? "model.safetensors" : shard_file_name(s, shards.size());
    write_shard(folder / name, shards[s], first_tensor, seed, threads);
    first_tensor += shards[s].size();
    for (const TensorInfo& tensor : shards[s]) weight_map[tensor.name] = name;
  }
  if (shards.size() > 1)
    write_file_atomically(folder / kShardIndexFile, serialize_shard_index(weight_map, bytes_of(tensors)));
  write_file_atomically(folder / "config.json", config_json(model));
  std::printf("%zu tensors, %zu shard(s), %.3f GB: %s\n", tensors.size(), shards.size(),
              static_cast<double>(bytes_of(tensors)) / 1e9, folder.c_str());
}

}  // namespace
}  // namespace afp::bench

int main(int argc, char** argv) {
  std::filesystem::path folder;
  std::uint64_t bytes = 2'000'000'000;
  std::size_t shards = 1;
  std::uint64_t seed = 1;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  CLI::App app("Writes a synthetic bf16 checkpoint with the names and shapes of a LLaMA.");
  app.add_option("OUTPUT", folder, "Folder to write it to")->required();
  app.add_option("--size", bytes, "About how large, as 2GB or 500MB (default 2GB)")
      ->transform(CLI::AsSizeValue(true));
  app.add_option("--shards", shards, "Number of files (default 1)")->check(CLI::Range(1, 1000));
  app.add_option("--seed", seed, "Seed of the weights (default 1)");
  app.add_option("--threads", threads, "Threads to work on (default: all)")->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);
  try {
    afp::bench::write_checkpoint(folder, afp::bench::model_of(bytes), shards, seed, threads);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_checkpoint: %s\n", error.what());
    return 1;
  }
  return 0;
}
