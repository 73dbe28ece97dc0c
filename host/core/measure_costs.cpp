// measure_costs: batches of tensors whose bytes stay in memory through the passes of their TensorCostMeters.
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <deque>

#include "afp/error.hpp"
#include "afp/model_search.hpp"
#include "host/core/host_block.hpp"
#include "host/core/importance.hpp"
#include "host/core/input_checks.hpp"
#include "host/core/memory_shares.hpp"
#include "host/core/piece_pipeline.hpp"
#include "host/core/progress_meter.hpp"
#include "host/core/source_tensor.hpp"
#include "host/core/tensor_cost_meter.hpp"

namespace afp {
namespace {

// A tensor on its way: its row of the table, and the columns that are measured.
struct Work {
  Work(const Checkpoint& input, const CheckpointTensor& tensor) : source(input, tensor) {}

  SourceTensor source;
  std::vector<std::size_t> columns;
  std::vector<float> importance;  // of its columns; empty: all alike
  std::unique_ptr<TensorCostMeter> meter;
  bool done = false;
  bool counts = true;  // the pass under way, for progress
};

struct Piece {
  Work* work;
  SourceTensor::Piece part;
};

struct Buffer {
  explicit Buffer(std::pmr::memory_resource& memory) : source(memory) {}

  SourceBuffer source;
  std::span<const std::byte> bytes;
};

// What goes together, whatever the tensors are.
void check_request(const CostRequest& request) {
  if (request.sample == 0) throw UsageError("a sample of one block in 0; expected 1 or more");
  if (request.sample > 1 && request.importance)
    throw UsageError(
        "errors weighted by importance are measured of all blocks; a sample does not go with them");
  if (request.objective != Objective::mse && request.importance)
    throw UsageError("an importance weighs squared errors; it goes with the objective mse, not " +
                     std::string(to_string(request.objective)));
}

void check_objective(Objective objective, const std::vector<Encoding>& candidates) {
  if (objective == Objective::mse) return;
  for (const Encoding& encoding : candidates) {
    if (encoding.block.kind != BlockKind::tensor)
      throw UsageError("the objective " + std::string(to_string(objective)) +
                       " is defined for tensor blocks, not for " + to_string(encoding) +
                       "; give tensor blocks (block=tensor) or the objective mse");
  }
}

class CostMeasurer {
 public:
  CostMeasurer(const Checkpoint& input, const CostRequest& request)
      : input_(input),
        request_(request),
        threads_(thread_count(request.run)),
        backend_(make_backend(request.run.backend, threads_)),
        shares_(shares_of(request.run, *backend_.backend)) {
    while (buffers_.size() < shares_.pieces) buffers_.emplace_back(backend_.backend->host_memory());
    check_request(request);
    select();
  }

  CostMeasurement run() {
    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t total = 0;
    for (const Work& work : works_) total += work.source.bytes() * passes_of(work);
    progress_.emplace(request_.run.progress, total);

    tbb::task_arena arena(threads_);
    arena.execute([&] { run_batches(); });
    progress_->finish();
    result_.backend = backend_.use();
    result_.read_seconds = read_clock_.seconds();
    result_.search_seconds = search_clock_.seconds();
    result_.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(result_);
  }

 private:
  // Rows and columns of the table.
  void select() {
    CostTable& table = result_.table;
    table.objective = request_.objective;
    table.weighted = request_.importance.has_value();
    table.effort = request_.effort == Effort::exact ? "exact" : "fast";
    table.candidates = request_.space.encodings();
    const std::size_t common = table.candidates.size();

    const std::vector<TensorInfo> infos(input_.tensors().begin(), input_.tensors().end());
    const std::vector<Selection> selections = select_tensors(infos, {}, request_.rules);
    for (std::size_t t = 0; t < infos.size(); ++t) {
      if (!selections[t].request) continue;
      Work& work = works_.emplace_back(input_, input_.tensors()[t]);
      if (const std::optional<Encoding>& pinned = selections[t].request->encoding) {
        if (!table.column(*pinned)) table.candidates.push_back(*pinned);
        work.columns = {*table.column(*pinned)};
      } else {
        for (std::size_t c = 0; c < common; ++c) work.columns.push_back(c);
      }
      if (request_.importance) work.importance = column_importance(*request_.importance, infos[t]);
    }
    check_objective(request_.objective, table.candidates);
    const bool samples =
        std::any_of(table.candidates.begin(), table.candidates.end(),
                    [](const Encoding& encoding) { return encoding.block.kind != BlockKind::tensor; });
    table.sample = samples ? request_.sample : 1;
  }

  // Over the tensor's bytes, as progress counts them: one for its extent or Statistics, one for every kind of
  // row or small block. (The few more that some tensor blocks take are not counted.)
  std::size_t passes_of(const Work& work) const {
    std::vector<Block> blocks;
    for (const std::size_t column : work.columns) {
      const Block block = result_.table.candidates[column].block;
      if (block.kind != BlockKind::tensor && std::find(blocks.begin(), blocks.end(), block) == blocks.end())
        blocks.push_back(block);
    }
    return 1 + blocks.size();
  }

  void run_batches() {
    std::uint64_t most_resident = 0;  // no more than there is: a backend's memory may be dear
    for (const Work& work : works_) most_resident += work.source.bytes();
    most_resident = std::min(most_resident, shares_.resident_bytes);
    std::vector<Work*> batch;
    std::uint64_t held = 0, resident = 0;
    const auto flush = [&] {
      run_batch(batch);
      batch.clear();
      held = resident = 0;
    };
    const CostSettings settings{request_.objective, request_.effort, request_.sample};
    for (Work& work : works_) {
      std::vector<Encoding> candidates;
      for (const std::size_t column : work.columns) candidates.push_back(result_.table.candidates[column]);
      work.meter = std::make_unique<TensorCostMeter>(*backend_.backend, work.source.tensor(), candidates,
                                                     settings, work.importance);
      const bool stays = work.source.bytes() <= shares_.resident_bytes;
      const std::uint64_t needs = (stays ? work.source.bytes() : 0) + work.meter->memory();
      if (held + needs > shares_.resident_bytes && !batch.empty()) flush();
      if (stays) {
        if (!resident_) resident_.emplace(backend_.backend->host_memory(), most_resident);
        work.source.stay_in(resident_->bytes().subspan(resident, work.source.bytes()));
        resident += work.source.bytes();
      }
      held += needs;
      batch.push_back(&work);
    }
    flush();
  }

  void run_batch(const std::vector<Work*>& batch) {
    for (;;) {
      std::vector<Piece> pieces;
      for (Work* work : batch) {
        if (work->done) continue;
        begin_pass(*work);
        if (work->done) continue;
        for (const SourceTensor::Piece& part : work->source.cut(work->meter->grid(), shares_))
          pieces.push_back({work, part});
      }
      if (pieces.empty()) break;
      run_pieces(
          pieces.size(), buffers_, request_.run.stop,
          [&](std::size_t p, Buffer& buffer) {
            read_clock_.time([&] {
              const Piece& piece = pieces[p];
              buffer.bytes = piece.work->source.read(piece.part, buffer.source, nullptr);
              if (piece.work->counts) progress_->add(buffer.bytes.size(), piece.work->source.tensor().name);
            });
          },
          [&](std::size_t p, Buffer& buffer) {
            search_clock_.time([&] {
              const Work& work = *pieces[p].work;
              work.meter->take(pieces[p].part.cells, work.source.weights(buffer.bytes, buffer.source));
            });
          },
          [](std::size_t, Buffer&) {});
    }
    for (Work* work : batch) finish(*work);
  }

  void begin_pass(Work& work) {
    try {
      search_clock_.time([&] { work.done = !work.meter->next_pass(); });
      work.counts = !work.done && work.meter->counts_as_progress();
    } catch (const InputError& error) {  // the passes do not know the file
      const CheckpointShard& shard = input_.shards()[work.source.tensor().shard];
      throw InputError(error.what(), (input_.folder() / shard.file_name).string());
    }
  }

  void finish(Work& work) {
    TensorCosts& row = result_.table.tensors.emplace_back();
    row.tensor = work.source.tensor();
    row.digest = work.source.digest();
    row.signal = work.meter->signal();
    row.candidates.resize(result_.table.candidates.size());
    for (std::size_t i = 0; i < work.columns.size(); ++i)
      row.candidates[work.columns[i]] = work.meter->costs()[i];
    work.meter.reset();
  }

  const Checkpoint& input_;
  const CostRequest& request_;
  int threads_;
  ChosenBackend backend_;
  MemoryShares shares_;
  std::vector<Buffer> buffers_;
  std::optional<HostBlock> resident_;
  std::deque<Work> works_;
  std::optional<ProgressMeter> progress_;
  StageClock read_clock_, search_clock_;
  CostMeasurement result_;
};

}  // namespace

CostMeasurement measure_costs(const Checkpoint& input, const CostRequest& request) {
  require_plain(input);
  return CostMeasurer(input, request).run();
}

}  // namespace afp
