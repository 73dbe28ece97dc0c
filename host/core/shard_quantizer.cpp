// One shard: batches of tensors, each in up to four passes of pieces.
#include "host/core/shard_quantizer.hpp"

#include <algorithm>
#include <deque>

#include "host/core/source_tensor.hpp"

namespace afp {
std::map<std::string, std::string> output_metadata(const CheckpointShard& shard) {
  std::map<std::string, std::string> metadata = shard.metadata;
  metadata.emplace("format", "pt");
  return metadata;
}

// A tensor on its way.
struct ShardQuantizer::Work {
  Work(const Checkpoint& input, const Item& item_) : item(&item_), source(input, *item_.source) {}

  const Item* item;
  SourceTensor source;
  std::unique_ptr<TensorEncoder> encoder;  // null: kept
  Digest128 codes_digest;
  ManifestEntry entry;
  std::size_t kept_out = 0, codes_out = 0, scales_out = 0, tensor_scale_out = 0;  // in the output shard

  bool needs_passes() const { return encoder && (encoder->needs_scan() || encoder->needs_choice()); }
};

struct ShardQuantizer::Piece {
  Work* work;
  SourceTensor::Piece part;
};

struct ShardQuantizer::Buffer {
  explicit Buffer(std::pmr::memory_resource& memory) : source(memory), codes(&memory) {}

  SourceBuffer source;
  std::span<const std::byte> bytes;  // of the piece, as in the file
  std::pmr::vector<std::uint8_t> codes;
};

ShardQuantizer::ShardQuantizer(const Checkpoint& input, const Backend& backend, Effort effort,
                               const MemoryShares& shares, const RunOptions& run, ProgressMeter& meter,
                               StageClocks& clocks)
    : input_(input),
      backend_(backend),
      effort_(effort),
      shares_(shares),
      options_(run),
      meter_(meter),
      clocks_(clocks) {}

ShardQuantizer::~ShardQuantizer() = default;

std::vector<ShardQuantizer::OutputTensor> ShardQuantizer::output_tensors(const std::vector<Item>& items) {
  std::vector<OutputTensor> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    if (item.candidates->empty()) {
      out.push_back({*item.source, i, Part::kept});
      continue;
    }
    const Encoding& encoding = item.candidates->front();
    const BlockGrid grid(encoding.block, encoding.bits(), item.source->shape);
    const std::string& name = item.source->name;
    out.push_back({{name, DType::U8, codes_shape(grid)}, i, Part::codes});
    out.push_back({{scales_name(name), DType::U8, scales_shape(grid)}, i, Part::scales});
    if (encoding.scale == ScaleKind::ue4m3)
      out.push_back({{tensor_scale_name(name), DType::F32, {}}, i, Part::tensor_scale});
  }
  // Wide elements first keeps every tensor aligned; scales, whose sizes are odd, come after the codes.
  std::stable_sort(out.begin(), out.end(), [](const OutputTensor& a, const OutputTensor& b) {
    const auto rank = [](const OutputTensor& t) {
      return std::pair(-dtype_bits(t.info.dtype), t.part == Part::scales);
    };
    return rank(a) < rank(b);
  });
  return out;
}

std::vector<ManifestEntry> ShardQuantizer::run(const std::vector<Item>& items, ShardWriter* writer) {
  std::deque<Work> works;
  for (const Item& item : items) works.emplace_back(input_, item);
  const std::vector<OutputTensor> outputs = output_tensors(items);
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    Work& work = works[outputs[o].item];
    switch (outputs[o].part) {
      case Part::kept:
        work.kept_out = o;
        break;
      case Part::codes:
        work.codes_out = o;
        break;
      case Part::scales:
        work.scales_out = o;
        break;
      case Part::tensor_scale:
        work.tensor_scale_out = o;
        break;
    }
  }

  while (buffers_.size() < shares_.pieces) buffers_.emplace_back(backend_.host_memory());
  std::uint64_t most_resident = 0;  // no more than there is: a backend's memory may be dear
  for (const Work& work : works) most_resident += work.item->candidates->empty() ? 0 : work.source.bytes();
  most_resident = std::min(most_resident, shares_.resident_bytes);
  std::vector<ManifestEntry> entries;
  std::vector<Work*> batch;
  std::uint64_t held = 0;      // memory the batch needs between passes
  std::uint64_t resident = 0;  // of it source data
  const auto flush = [&] {
    run_batch(batch, writer);
    for (Work* work : batch) {
      entries.push_back(std::move(work->entry));
      work->encoder.reset();
    }
    batch.clear();
    held = resident = 0;
  };
  for (Work& work : works) {
    if (!work.item->candidates->empty())
      work.encoder =
          std::make_unique<TensorEncoder>(backend_, *work.item->source, *work.item->candidates, effort_);
    const std::uint64_t bytes = work.source.bytes();
    const bool stays = work.needs_passes() && bytes <= shares_.resident_bytes;
    const std::uint64_t needs = (stays ? bytes : 0) + (work.encoder ? work.encoder->memory() : 0);
    if (held + needs > shares_.resident_bytes && !batch.empty()) flush();
    if (stays) {
      if (!resident_) resident_.emplace(backend_.host_memory(), most_resident);
      work.source.stay_in(resident_->bytes().subspan(resident, bytes));
      resident += bytes;
    }
    held += needs;
    batch.push_back(&work);
  }
  flush();
  return entries;
}

void ShardQuantizer::run_batch(std::vector<Work*> batch, ShardWriter* writer) {
  const auto those = [&](auto predicate) {
    std::vector<Work*> found;
    std::copy_if(batch.begin(), batch.end(), std::back_inserter(found), predicate);
    return found;
  };
  const std::vector<Work*> scanned =
      those([](const Work* w) { return w->encoder && w->encoder->needs_scan(); });
  run_pass(Pass::scan, scanned, nullptr);
  for (Work* work : scanned) {
    work->encoder->finish_scan();
    while (work->encoder->needs_scores()) run_pass(Pass::score, {work}, nullptr);
  }
  const std::vector<Work*> choosing =
      those([](const Work* w) { return w->encoder && w->encoder->needs_choice(); });
  run_pass(Pass::choose, choosing, nullptr);
  for (Work* work : choosing) work->encoder->finish_choice();
  run_pass(Pass::encode, batch, writer);
}

void ShardQuantizer::run_pass(Pass pass, const std::vector<Work*>& works, ShardWriter* writer) {
  std::vector<Piece> pieces;
  for (Work* work : works) {
    const std::vector<SourceTensor::Piece> parts =
        work->encoder ? work->source.cut(work->encoder->grid(), shares_) : work->source.cut(shares_);
    for (const SourceTensor::Piece& part : parts) pieces.push_back({work, part});
  }
  StageClock& clock = pass == Pass::encode ? clocks_.encode : clocks_.search;
  run_pieces(
      pieces.size(), buffers_, options_.stop,
      [&](std::size_t p, Buffer& buffer) {
        clocks_.read.time(
            [&] { buffer.bytes = pieces[p].work->source.read(pieces[p].part, buffer.source, &meter_); });
      },
      [&](std::size_t p, Buffer& buffer) { clock.time([&] { compute(pass, pieces[p], buffer); }); },
      [&](std::size_t p, Buffer& buffer) {
        if (pass == Pass::encode) clocks_.write.time([&] { write(pieces[p], buffer, writer); });
      });
}

void ShardQuantizer::compute(Pass pass, const Piece& piece, Buffer& buffer) {
  Work& work = *piece.work;
  if (!work.encoder) return;
  const BlockGrid& grid = work.encoder->grid();
  const CellRange cells = piece.part.cells;
  const WeightPiece weights = work.encoder->piece(cells, work.source.weights(buffer.bytes, buffer.source));
  switch (pass) {
    case Pass::scan:
      return work.encoder->scan(weights);
    case Pass::score:
      return work.encoder->score(weights);
    case Pass::choose:
      return work.encoder->choose(weights);
    case Pass::encode:
      break;
  }
  if (cells.count == 0) return buffer.codes.clear();
  const std::uint64_t last = cells.first + cells.count;
  buffer.codes.resize((last == grid.cells() ? grid.code_bytes() : grid.code_begin(last)) -
                      grid.code_begin(cells.first));
  work.encoder->encode(weights, buffer.codes);
}

void ShardQuantizer::write(const Piece& piece, Buffer& buffer, ShardWriter* writer) {
  Work& work = *piece.work;
  if (!work.encoder) {
    if (writer) writer->write(work.kept_out, piece.part.begin, buffer.bytes);
  } else {
    const std::span<const std::byte> codes = std::as_bytes(std::span(buffer.codes));
    work.codes_digest.update(codes);
    if (writer && !codes.empty())
      writer->write(work.codes_out, work.encoder->grid().code_begin(piece.part.cells.first), codes);
  }
  if (piece.part.end == work.source.bytes()) finish(work, writer);
}

void ShardQuantizer::finish(Work& work, ShardWriter* writer) {
  ManifestEntry& entry = work.entry;
  entry.source = *work.item->source;
  entry.source_digest = work.source.digest();
  if (!work.encoder) {
    entry.kept = *work.item->kept;
    return;
  }
  work.encoder->finish();
  const std::span<const std::byte> scales = std::as_bytes(work.encoder->scales());
  const float tensor_scale = work.encoder->tensor_scale();
  const std::span<const std::byte> tensor_scale_bytes = std::as_bytes(std::span(&tensor_scale, 1));
  Digest128 digest;
  digest.update(scales);
  entry.encoding = work.encoder->encoding();
  const bool has_tensor_scale = entry.encoding->scale == ScaleKind::ue4m3;
  if (has_tensor_scale) digest.update(tensor_scale_bytes);
  entry.codes_digest = work.codes_digest.hex();
  entry.scales_digest = digest.hex();
  entry.squared_error = work.encoder->squared_error();
  entry.signal = work.encoder->signal();
  if (!writer) return;
  writer->write(work.scales_out, 0, scales);
  if (has_tensor_scale) writer->write(work.tensor_scale_out, 0, tensor_scale_bytes);
}

}  // namespace afp
