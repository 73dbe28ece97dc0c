// A small checkpoint and its packed form, made piece by piece without quantize_checkpoint, and what the
// packed tensors decode to, computed one code at a time by afp/codec.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "afp/backend.hpp"
#include "afp/codec.hpp"
#include "afp/packed_tensor.hpp"
#include "afp/packing.hpp"
#include "afp/scale.hpp"
#include "host/checkpoint/digest.hpp"
#include "host/checkpoint/manifest.hpp"
#include "host/checkpoint/shard_index.hpp"
#include "host/checkpoint/shard_writer.hpp"
#include "temp_folder.hpp"

namespace afp {

inline std::string digest_of(std::span<const std::byte> bytes) {
  Digest128 digest;
  digest.update(bytes);
  return digest.hex();
}

template <class T>
std::span<const std::byte> raw(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// One tensor of the example: its bytes as in a file, and packed where it has an Encoding.
struct ExampleTensor {
  TensorInfo info;
  std::size_t shard = 0;
  std::vector<std::byte> bytes;
  std::vector<float> weights;  // what `bytes` hold, F64 rounded
  std::optional<PackedTensor> packed;
  std::vector<float> decoded;  // what `packed` holds
  ManifestEntry entry;
};

inline void fill_random(ExampleTensor& tensor, std::mt19937& random) {
  const std::uint64_t count = tensor.info.elements();
  tensor.bytes.resize(tensor.info.bytes());
  tensor.weights.resize(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const double uniform = static_cast<double>(random()) / 4294967296.0 - 0.5;
    double value = i < 32 ? 0.0 : uniform * uniform * uniform;  // the first blocks are zero
    if (tensor.info.dtype == DType::F64) {
      std::memcpy(&tensor.bytes[8 * i], &value, 8);
      tensor.weights[i] = static_cast<float>(value);
    } else if (tensor.info.dtype == DType::F32) {
      tensor.weights[i] = static_cast<float>(value);
      std::memcpy(&tensor.bytes[4 * i], &tensor.weights[i], 4);
    } else {
      const bool brain = tensor.info.dtype == DType::BF16;
      const auto narrow = static_cast<float>(value);
      const std::uint16_t bits = brain ? float_to_bf16(narrow) : float_to_f16(narrow);
      tensor.weights[i] = brain ? bf16_to_float(bits) : f16_to_float(bits);
      std::memcpy(&tensor.bytes[2 * i], &bits, 2);
    }
  }
}

inline float scale_of(const PackedTensor& packed, std::uint8_t byte) {
  return packed.encoding.scale == ScaleKind::e8m0 ? e8m0_value(byte) : ue4m3_value(byte & 0x7Fu);
}

inline std::vector<float> decode_one_by_one(const PackedTensor& packed) {
  const BlockGrid grid = packed.grid();
  std::vector<float> values;
  for (std::uint64_t cell = 0; cell < grid.cells(); ++cell) {
    const std::uint8_t byte = packed.scales[grid.scale_index(cell)];
    for (int i = 0; i < grid.cell_weights(cell); ++i) {
      const std::uint32_t code =
          unpack_code(&packed.codes[grid.code_begin(cell)], static_cast<std::uint64_t>(i), grid.bits);
      values.push_back(decode(packed.encoding.format_of(byte), code) * scale_of(packed, byte) *
                       packed.tensor_scale);
    }
  }
  return values;
}

inline void pack(ExampleTensor& tensor, const Encoding& encoding) {
  PackedTensor packed{tensor.info, encoding, 1.0f, {}, {}, 0.0, 0.0};
  const BlockGrid grid = packed.grid();
  float absmax = 0.0f;
  for (const float weight : tensor.weights) absmax = std::max(absmax, std::abs(weight));
  if (encoding.scale == ScaleKind::ue4m3) {
    float smallest = encoding.format.max_value();
    if (encoding.alternative) smallest = std::min(smallest, encoding.alternative->max_value());
    packed.tensor_scale = ue4m3_tensor_scale(smallest, absmax);
  }
  const TensorCodec codec{encoding, packed.tensor_scale};
  const std::unique_ptr<Backend> backend = make_cpu_backend(2);
  const CellRange cells{0, grid.cells()};
  const bool f64 = tensor.info.dtype == DType::F64;
  const WeightPiece piece{grid, cells, f64 ? DType::F32 : tensor.info.dtype,
                          f64 ? raw(tensor.weights).data() : tensor.bytes.data()};
  packed.codes.resize(grid.code_bytes());
  packed.scales.resize(grid.scale_count());
  if (encoding.block.kind == BlockKind::tensor) {
    packed.scales[0] = static_cast<std::uint8_t>(
        encoding.scale == ScaleKind::e8m0
            ? static_cast<std::uint32_t>(e8m0_first_exponent(encoding.format, absmax) + kE8m0Bias)
            : ue4m3_first(encoding.format, absmax / packed.tensor_scale));
    backend->encode(piece, codec, packed.scales, packed.codes);
  } else {
    std::vector<StripSums> sums(strip_count(grid, cells));
    backend->quantize(piece, codec, Effort::exact, packed.scales, sums, packed.codes);
  }
  tensor.decoded = decode_one_by_one(packed);
  for (std::size_t i = 0; i < tensor.decoded.size(); ++i) {
    const double weight = tensor.weights[i], difference = tensor.decoded[i] - weight;
    packed.squared_error += difference * difference;
    packed.signal += weight * weight;
  }
  tensor.packed = std::move(packed);
}

class ExampleCheckpoint {
 public:
  ExampleCheckpoint() {
    std::mt19937 random(7);
    add({"a", DType::BF16, {5, 100}}, 0, "E1M2+E2M1/16/ue4m3", "", random);
    add({"b", DType::F32, {3, 70000}}, 0, "E2M1/row", "", random);
    add({"k", DType::I64, {3}}, 0, "", "dtype I64", random);
    add({"c", DType::F16, {40, 5, 7}}, 1, "E3M2/tensor", "", random);
    add({"d", DType::F64, {2, 33}}, 1, "E2M0/32/e8m0", "", random);
    add({"n", DType::BF16, {7}}, 1, "", "1-D", random);
    add({"z", DType::F32, {0, 4}}, 1, "", "empty", random);
    add({"t", DType::BF16, {300, 401}}, 1, "E2M1/tensor/ue4m3", "", random);
  }

  static constexpr const char* kShards[] = {"model-00001-of-00002.safetensors",
                                            "model-00002-of-00002.safetensors"};
  static inline const std::map<std::string, std::string> kMetadata = {{"format", "pt"}, {"x", "y"}};

  std::vector<ExampleTensor> tensors;
  ExampleTensor& tensor(std::string_view name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const ExampleTensor& t) { return t.info.name == name; });
  }

  // Digests and sums of every tensor as it is now.
  Manifest manifest() const {
    Manifest manifest{"exact", {}};
    for (const ExampleTensor& t : tensors) {
      ManifestEntry entry;
      entry.source = t.info;
      entry.source_digest = digest_of(t.bytes);
      if (t.packed) {
        entry.encoding = t.packed->encoding;
        std::vector<std::byte> scales(raw(t.packed->scales).begin(), raw(t.packed->scales).end());
        if (t.packed->encoding.scale == ScaleKind::ue4m3) {
          const auto scale = std::as_bytes(std::span(&t.packed->tensor_scale, 1));
          scales.insert(scales.end(), scale.begin(), scale.end());
        }
        entry.codes_digest = digest_of(raw(t.packed->codes));
        entry.scales_digest = digest_of(scales);
        entry.squared_error = t.packed->squared_error;
        entry.signal = t.packed->signal;
      } else {
        entry.kept = t.entry.kept;
      }
      manifest.tensors.push_back(entry);
    }
    return manifest;
  }

  void write_source(const std::filesystem::path& folder) const {
    write_shards(folder, [](const ExampleTensor& t) { return std::vector<Part>{{t.info, t.bytes}}; });
    write_bytes(folder / "config.json", "{\n  \"a\": NaN\n}\n");
    write_bytes(folder / "tokenizer.json", "tokens");
  }

  void write_packed(const std::filesystem::path& folder) const { write_packed(folder, manifest()); }
  void write_packed(const std::filesystem::path& folder, const Manifest& manifest) const {
    write_shards(folder, [](const ExampleTensor& t) {
      if (!t.packed) return std::vector<Part>{{t.info, t.bytes}};
      const BlockGrid grid = t.packed->grid();
      std::vector<Part> parts = {
          {{t.info.name, DType::U8, codes_shape(grid)}, raw(t.packed->codes)},
          {{scales_name(t.info.name), DType::U8, scales_shape(grid)}, raw(t.packed->scales)}};
      if (t.packed->encoding.scale == ScaleKind::ue4m3) {
        parts.push_back({{tensor_scale_name(t.info.name), DType::F32, {}},
                         std::as_bytes(std::span(&t.packed->tensor_scale, 1))});
      }
      return parts;
    });
    write_bytes(folder / kManifestFile, to_json(manifest));
    write_bytes(folder / "config.json",
                "{\n  \"a\": NaN,\n  \"quantization_config\": " + quantization_config(manifest) + "\n}\n");
    write_bytes(folder / "tokenizer.json", "tokens");
  }

 private:
  struct Part {
    TensorInfo info;
    std::span<const std::byte> bytes;
  };

  void add(TensorInfo info, std::size_t shard, std::string_view encoding, std::string kept,
           std::mt19937& random) {
    ExampleTensor tensor;
    tensor.info = std::move(info);
    tensor.shard = shard;
    tensor.entry.kept = std::move(kept);
    if (tensor.info.dtype == DType::I64) {
      tensor.bytes.resize(tensor.info.bytes(), std::byte{0x5A});
    } else {
      fill_random(tensor, random);
    }
    if (!encoding.empty()) pack(tensor, parse_encoding(encoding));
    tensors.push_back(std::move(tensor));
  }

  template <class Parts>
  void write_shards(const std::filesystem::path& folder, const Parts& parts_of) const {
    std::filesystem::create_directories(folder);
    WeightMap weight_map;
    for (std::size_t shard = 0; shard < 2; ++shard) {
      std::vector<Part> parts;
      for (const ExampleTensor& t : tensors) {
        if (t.shard != shard) continue;
        for (const Part& part : parts_of(t)) parts.push_back(part);
      }
      std::vector<TensorInfo> infos;
      for (const Part& part : parts) {
        infos.push_back(part.info);
        weight_map[part.info.name] = kShards[shard];
      }
      ShardWriter writer(folder / kShards[shard], infos, kMetadata);
      for (std::size_t i = 0; i < parts.size(); ++i) writer.write(i, 0, parts[i].bytes);
      writer.commit();
    }
    write_bytes(folder / kShardIndexFile, serialize_shard_index(weight_map, 0));
  }
};

// Made once a program: packing takes longer than most tests.
inline const ExampleCheckpoint& example() {
  static const ExampleCheckpoint checkpoint;
  return checkpoint;
}

}  // namespace afp
