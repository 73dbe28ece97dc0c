// One shard: batches of tensors, each in up to four passes of pieces.
#include "host/core/shard_quantizer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

#include "afp/error.hpp"
#include "host/core/narrow.hpp"

namespace afp {
namespace {

std::size_t width_of(DType dtype) {
  return static_cast<std::size_t>(dtype_bits(dtype)) / 8;
}

}  // namespace

// A tensor on its way.
struct ShardQuantizer::Work {
  const Item* item;
  std::size_t index = 0;                   // of the item
  std::unique_ptr<TensorEncoder> encoder;  // null: kept
  std::uint64_t bytes = 0;
  std::span<std::byte> data;  // where its bytes stay between passes; empty: they do not
  std::uint64_t loaded = 0;   // bytes read (and digested) so far, from the start
  Digest128 digest, codes_digest;
  ManifestEntry entry;
  std::size_t kept_out = 0, codes_out = 0, scales_out = 0, tensor_scale_out = 0;  // in the output shard

  bool needs_passes() const { return encoder && (encoder->needs_scan() || encoder->needs_choice()); }
};

struct ShardQuantizer::Piece {
  Work* work;
  CellRange cells;           // of a tensor that is quantized
  std::uint64_t begin, end;  // bytes of the source tensor
};

struct ShardQuantizer::Buffer {
  std::vector<std::byte> raw;       // as in the file
  std::vector<std::byte> narrowed;  // F64 as F32
  const std::byte* weights = nullptr;
  std::vector<std::uint8_t> codes;
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
  std::deque<Work> works(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    works[i].item = &items[i];
    works[i].index = i;
    works[i].bytes = items[i].source->bytes();
  }
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

  buffers_.resize(shares_.pieces);
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
    const bool stays = work.needs_passes() && work.bytes <= shares_.resident_bytes;
    const std::uint64_t needs = (stays ? work.bytes : 0) + (work.encoder ? work.encoder->memory() : 0);
    if (held + needs > shares_.resident_bytes && !batch.empty()) flush();
    if (stays) {
      if (!resident_) resident_ = std::make_unique_for_overwrite<std::byte[]>(shares_.resident_bytes);
      work.data = {resident_.get() + resident, work.bytes};
      resident += work.bytes;
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
    if (!work->encoder) {
      std::uint64_t begin = 0;
      do {  // an empty tensor has one empty piece
        const std::uint64_t end = std::min(work->bytes, begin + shares_.piece_bytes);
        pieces.push_back({work, {}, begin, end});
        begin = end;
      } while (begin < work->bytes);
      continue;
    }
    const BlockGrid& grid = work->encoder->grid();
    const std::size_t width = width_of(work->item->source->dtype);
    const std::uint64_t strip = cells_per_strip(grid);
    const std::uint64_t strip_bytes = strip * static_cast<std::uint64_t>(grid.cell_size) * width;
    if (strip_bytes > shares_.resident_bytes)
      throw UsageError("tensor '" + work->item->source->name + "': a row of " +
                       std::to_string(grid.columns * width) +
                       " bytes is a block, more than a quarter of the memory budget; give a larger budget or "
                       "smaller blocks");
    const std::uint64_t step = strip * std::max<std::uint64_t>(1, shares_.piece_bytes / strip_bytes);
    std::uint64_t first = 0;
    do {
      const CellRange cells{first, std::min(step, grid.cells() - first)};
      const std::uint64_t end = first + cells.count;
      pieces.push_back({work, cells, cells.count ? grid.weight_begin(first) * width : 0,
                        end == grid.cells() ? work->bytes : grid.weight_begin(end) * width});
      first = end;
    } while (first < grid.cells());
  }
  StageClock& clock = pass == Pass::encode ? clocks_.encode : clocks_.search;
  run_pieces(
      pieces.size(), buffers_, options_.stop,
      [&](std::size_t p, Buffer& buffer) { clocks_.read.time([&] { read(pieces[p], buffer); }); },
      [&](std::size_t p, Buffer& buffer) { clock.time([&] { compute(pass, pieces[p], buffer); }); },
      [&](std::size_t p, Buffer& buffer) {
        if (pass == Pass::encode) clocks_.write.time([&] { write(pieces[p], buffer, writer); });
      });
}

// Leaves buffer.weights pointing at the piece's bytes as in the file; digests what is read first.
void ShardQuantizer::read(const Piece& piece, Buffer& buffer) {
  Work& work = *piece.work;
  const std::uint64_t size = piece.end - piece.begin;
  const bool first_time = work.loaded == piece.begin && piece.begin < work.bytes;
  std::span<std::byte> into;
  if (!work.data.empty()) {
    into = work.data.subspan(piece.begin, size);
  } else {
    if (buffer.raw.size() < size) buffer.raw.resize(size);
    into = std::span(buffer.raw).first(size);
  }
  buffer.weights = into.data();
  if (first_time || work.data.empty()) input_.read(*work.item->source, piece.begin, into);
  if (!first_time) return;
  work.digest.update(into);
  work.loaded = piece.end;
  meter_.add(size, work.item->source->name);
}

void ShardQuantizer::compute(Pass pass, const Piece& piece, Buffer& buffer) {
  Work& work = *piece.work;
  if (!work.encoder) return;
  if (work.item->source->dtype == DType::F64) {
    const std::uint64_t size = piece.end - piece.begin;
    buffer.narrowed.resize(size / 2);
    narrow_f64({buffer.weights, size}, buffer.narrowed);
    buffer.weights = buffer.narrowed.data();
  }
  const BlockGrid& grid = work.encoder->grid();
  const WeightPiece weights = work.encoder->piece(piece.cells, buffer.weights);
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
  if (piece.cells.count == 0) return buffer.codes.clear();
  const std::uint64_t last = piece.cells.first + piece.cells.count;
  buffer.codes.resize((last == grid.cells() ? grid.code_bytes() : grid.code_begin(last)) -
                      grid.code_begin(piece.cells.first));
  work.encoder->encode(weights, buffer.codes);
}

void ShardQuantizer::write(const Piece& piece, Buffer& buffer, ShardWriter* writer) {
  Work& work = *piece.work;
  if (!work.encoder) {
    if (writer) writer->write(work.kept_out, piece.begin, {buffer.weights, piece.end - piece.begin});
  } else {
    const std::span<const std::byte> codes = std::as_bytes(std::span(buffer.codes));
    work.codes_digest.update(codes);
    if (writer && !codes.empty())
      writer->write(work.codes_out, work.encoder->grid().code_begin(piece.cells.first), codes);
  }
  if (piece.end == work.bytes) finish(work, writer);
}

void ShardQuantizer::finish(Work& work, ShardWriter* writer) {
  ManifestEntry& entry = work.entry;
  entry.source = *work.item->source;
  entry.source_digest = work.digest.hex();
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
