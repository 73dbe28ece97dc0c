// verify_checkpoint: every byte of a packed checkpoint against its manifest, and with the source at hand the
// error of every tensor by decoding it.
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "host/checkpoint/digest.hpp"
#include "host/core/memory_shares.hpp"
#include "host/core/narrow.hpp"
#include "host/core/packed_checks.hpp"
#include "host/core/packed_reader.hpp"
#include "host/core/piece_pipeline.hpp"
#include "host/core/progress_meter.hpp"

namespace afp {
namespace {

constexpr std::size_t kMostProblems = 100;
// The manifest's sums were taken from rounded float32 values, these from exact ones.
constexpr double kTolerance = 1e-5;

bool agree(double measured, double expected) {
  return std::abs(measured - expected) <= kTolerance * std::max(measured, expected);
}

std::string text_of(double value) {
  if (!std::isfinite(value)) return "not finite";
  return nlohmann::json(value).dump();  // the shortest text that reads back to the same value
}

// What is being found out about one tensor; digests and reader only while its pieces are under way.
struct TensorCheck {
  const PackedEntry* entry = nullptr;
  const CheckpointTensor* source = nullptr;  // in the source, where it is to be compared

  std::optional<PackedReader> reader;
  std::optional<Digest128> data, scales, source_data;
  bool decodable = true;
  double error = 0.0, signal = 0.0;
  std::string bad_scale, bad_padding, bad_zero_block;  // the first of each
};

struct Piece {
  std::size_t tensor;
  CellRange cells;             // of a packed tensor
  std::uint64_t begin, bytes;  // of a kept one
  std::uint64_t source_begin = 0, source_bytes = 0;
  bool first, last;  // of the tensor
};

struct Buffer {
  std::vector<std::uint8_t> codes, scales;
  std::vector<std::byte> kept, source, narrow;
  std::vector<float> decoded;
  StripSums sums;
  std::string bad_scale, bad_padding, bad_zero_block;
};

class Verifier {
 public:
  Verifier(const PackedCheckpoint& packed, const Checkpoint* source, const RunOptions& run)
      : packed_(packed),
        source_(source),
        run_(run),
        threads_(thread_count(run)),
        backend_(make_backend(run.backend, threads_)),
        shares_(shares_of(run, *backend_.backend)),
        meter_(run.progress, total_bytes()),
        buffers_(shares_.pieces) {}

  VerifyResult run() {
    const auto begin = std::chrono::steady_clock::now();
    for (const PackedEntry& entry : packed_.entries()) {
      TensorCheck& check = checks_.emplace_back();
      check.entry = &entry;
      check.source = find_source(entry);
    }
    if (source_ != nullptr) find_unpacked_tensors();
    const std::vector<Piece> pieces = cut_all();
    tbb::task_arena arena(threads_);
    arena.execute([&] {
      run_pieces(
          pieces.size(), buffers_, run_.stop, [&](std::size_t p, Buffer& buffer) { read(pieces[p], buffer); },
          [&](std::size_t p, Buffer& buffer) { compute(pieces[p], buffer); },
          [&](std::size_t p, Buffer& buffer) { collect(pieces[p], buffer); });
    });
    meter_.finish();
    result_.backend = backend_.use();
    finish_result();
    result_.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(result_);
  }

 private:
  std::uint64_t total_bytes() const {
    std::uint64_t bytes = 0;
    for (const CheckpointTensor& tensor : packed_.checkpoint().tensors()) bytes += tensor.bytes();
    return bytes;
  }

  void problem(const std::string& name, std::string what) {
    if (++problem_count_ <= kMostProblems) result_.problems.push_back({name, std::move(what)});
  }

  const CheckpointTensor* find_source(const PackedEntry& entry) {
    if (source_ == nullptr) return nullptr;
    const CheckpointTensor* tensor = source_->find(entry.source.name);
    const auto describe = [](const TensorInfo& info) {
      return std::string(dtype_name(info.dtype)) + " " + to_string(info.shape);
    };
    if (tensor == nullptr) {
      problem(entry.source.name, "is not in the source");
    } else if (tensor->dtype != entry.source.dtype || tensor->shape != entry.source.shape) {
      problem(entry.source.name, "is " + describe(*tensor) + " in the source, but was " +
                                     describe(entry.source) + " when it was packed");
    } else {
      return tensor;
    }
    return nullptr;
  }

  void find_unpacked_tensors() {
    for (const CheckpointTensor& tensor : source_->tensors()) {
      if (packed_.find(tensor.name) == nullptr) problem(tensor.name, "is in the source only");
    }
  }

  // Pieces of all tensors, each tensor with one at least.
  std::vector<Piece> cut_all() const {
    std::vector<Piece> pieces;
    for (std::size_t t = 0; t < checks_.size(); ++t) {
      const std::size_t first = pieces.size();
      if (checks_[t].entry->encoding) {
        cut_packed(t, pieces);
      } else {
        const std::uint64_t size = checks_[t].entry->source.bytes();
        for (std::uint64_t begin = 0; begin < size; begin += shares_.piece_bytes) {
          const std::uint64_t bytes = std::min(shares_.piece_bytes, size - begin);
          pieces.push_back({t, {}, begin, bytes, begin, bytes, false, false});
        }
      }
      if (pieces.size() == first) pieces.push_back({t, {}, 0, 0, 0, 0, false, false});
      pieces[first].first = true;
      pieces.back().last = true;
    }
    return pieces;
  }

  void cut_packed(std::size_t t, std::vector<Piece>& pieces) const {
    const PackedEntry& entry = *checks_[t].entry;
    const BlockGrid grid(entry.encoding->block, entry.encoding->bits(), entry.source.shape);
    const std::uint64_t width = static_cast<std::uint64_t>(dtype_bits(entry.source.dtype)) / 8;
    for (const CellRange cells : cut_into_pieces(grid, shares_.piece_bytes / sizeof(float))) {
      const std::uint64_t begin = grid.weight_begin(cells.first);
      const std::uint64_t end = grid.weight_begin(cells.first + cells.count);
      pieces.push_back({t, cells, 0, 0, begin * width, (end - begin) * width, false, false});
    }
  }

  void read(const Piece& piece, Buffer& buffer) {
    TensorCheck& check = checks_[piece.tensor];
    if (piece.first) begin_tensor(check);
    if (check.reader) {
      read_packed(piece, check, buffer);
    } else {
      const CheckpointTensor& tensor = packed_.checkpoint().tensors()[check.entry->data];
      buffer.kept.resize(piece.bytes);
      packed_.checkpoint().read(tensor, piece.begin, buffer.kept);
      check.data->update(buffer.kept);
      meter_.add(piece.bytes, check.entry->source.name);
    }
    if (check.source != nullptr) {
      buffer.source.resize(piece.source_bytes);
      source_->read(*check.source, piece.source_begin, buffer.source);
      check.source_data->update(buffer.source);
    }
  }

  void begin_tensor(TensorCheck& check) {
    check.data.emplace();
    if (check.source != nullptr) check.source_data.emplace();
    if (!check.entry->encoding) return;
    check.scales.emplace();
    check.reader.emplace(packed_, *check.entry);
    check.decodable = check.reader->tensor_scale_is_valid();
  }

  void read_packed(const Piece& piece, TensorCheck& check, Buffer& buffer) {
    const PackedReader& reader = *check.reader;
    buffer.codes.clear();
    buffer.scales.clear();
    if (piece.cells.count > 0) {
      reader.read_codes(piece.cells, buffer.codes);
      reader.read_scales(piece.cells, buffer.scales);
    }
    check.data->update(std::as_bytes(std::span(buffer.codes)));
    // A row that two pieces share has its scale read twice.
    const auto unread =
        std::span<const std::uint8_t>(buffer.scales).last(reader.new_scale_count(piece.cells));
    check.scales->update(std::as_bytes(unread));
    const bool with_tensor_scale = piece.last && check.entry->tensor_scale;
    if (with_tensor_scale) check.scales->update(std::as_bytes(std::span(&reader.codec().tensor_scale, 1)));
    meter_.add(buffer.codes.size() + unread.size() + (with_tensor_scale ? sizeof(float) : 0),
               check.entry->source.name);
  }

  void compute(const Piece& piece, Buffer& buffer) const {
    const TensorCheck& check = checks_[piece.tensor];
    buffer.sums = {};
    buffer.bad_scale.clear();
    buffer.bad_padding.clear();
    buffer.bad_zero_block.clear();
    if (!check.reader || piece.cells.count == 0) return;
    const PackedReader& reader = *check.reader;
    const PackedPiece packed{reader.grid(), reader.codec().encoding, piece.cells, buffer.codes,
                             buffer.scales};
    buffer.bad_scale = find_bad_scale(packed);
    buffer.bad_padding = find_bad_padding(packed);
    buffer.bad_zero_block = find_bad_zero_block(packed);
    if (check.source == nullptr || !check.decodable) return;
    buffer.decoded.resize(reader.weights(piece.cells));
    backend_.backend->dequantize(reader.grid(), piece.cells, reader.codec(), buffer.scales, buffer.codes,
                                 DType::F32, std::as_writable_bytes(std::span(buffer.decoded)));
    if (check.source->dtype == DType::F64) {
      buffer.narrow.resize(buffer.source.size() / 2);
      narrow_f64(buffer.source, buffer.narrow);
      buffer.sums =
          measure_error(buffer.narrow.data(), DType::F32, buffer.decoded.data(), buffer.decoded.size());
    } else {
      buffer.sums = measure_error(buffer.source.data(), check.source->dtype, buffer.decoded.data(),
                                  buffer.decoded.size());
    }
  }

  void collect(const Piece& piece, Buffer& buffer) {
    TensorCheck& check = checks_[piece.tensor];
    check.error += buffer.sums.error;
    check.signal += buffer.sums.signal;
    if (check.bad_scale.empty()) check.bad_scale = std::move(buffer.bad_scale);
    if (check.bad_padding.empty()) check.bad_padding = std::move(buffer.bad_padding);
    if (check.bad_zero_block.empty()) check.bad_zero_block = std::move(buffer.bad_zero_block);
    if (piece.last) judge(check);
  }

  void judge(TensorCheck& check) {
    const PackedEntry& entry = *check.entry;
    const std::string& name = entry.source.name;
    const auto compare = [&](const char* what, const std::optional<Digest128>& digest,
                             const std::string& expected) {
      const std::string found = digest->hex();
      if (found != expected)
        problem(name, std::string(what) + ": digest is " + found + ", expected " + expected);
    };
    compare(entry.encoding ? "codes" : "data", check.data,
            entry.encoding ? entry.codes_digest : entry.source_digest);
    if (entry.encoding) compare("scales", check.scales, entry.scales_digest);
    if (check.source != nullptr) compare("source", check.source_data, entry.source_digest);
    if (!check.decodable) {
      problem(name, "the tensor's scale is " + std::to_string(check.reader->codec().tensor_scale) +
                        ", expected a positive finite number");
    }
    for (const std::string& what : {check.bad_scale, check.bad_padding, check.bad_zero_block}) {
      if (!what.empty()) problem(name, what);
    }
    if (entry.encoding && check.source != nullptr && check.decodable) judge_error(check);
    check.reader.reset();
    check.data.reset();
    check.scales.reset();
    check.source_data.reset();
  }

  void judge_error(const TensorCheck& check) {
    const PackedEntry& entry = *check.entry;
    const auto compare = [&](const char* what, double measured, double expected) {
      if (!agree(measured, expected)) {
        problem(entry.source.name, std::string(what) + " is " + text_of(measured) + " by decoding, but " +
                                       text_of(expected) + " in the manifest");
      }
    };
    compare("squared error", check.error, entry.squared_error);
    compare("signal", check.signal, entry.signal);
    TensorResult& result = result_.errors.emplace_back();
    result.source = entry.source;
    result.encoding = entry.encoding;
    result.source_bytes = entry.source.bytes();
    result.packed_bytes = packed_size(*entry.encoding, entry.source.shape);
    result.squared_error = check.error;
    result.signal = check.signal;
  }

  void finish_result() {
    result_.tensors = checks_.size();
    if (problem_count_ > kMostProblems) {
      result_.problems.push_back({"", std::to_string(problem_count_ - kMostProblems) + " more problems"});
    }
    if (result_.errors.empty()) return;
    TensorResult total;
    for (const TensorResult& tensor : result_.errors) {
      total.squared_error += tensor.squared_error;
      total.signal += tensor.signal;
    }
    result_.sqnr_db = total.sqnr_db();
  }

  const PackedCheckpoint& packed_;
  const Checkpoint* source_;
  const RunOptions& run_;
  int threads_;
  ChosenBackend backend_;
  MemoryShares shares_;
  ProgressMeter meter_;
  std::vector<Buffer> buffers_;
  std::deque<TensorCheck> checks_;
  std::size_t problem_count_ = 0;
  VerifyResult result_;
};

}  // namespace

VerifyResult verify_checkpoint(const PackedCheckpoint& packed, const Checkpoint* source,
                               const RunOptions& run) {
  return Verifier(packed, source, run).run();
}

}  // namespace afp
