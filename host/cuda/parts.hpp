// Cutting a piece into parts that go over the devices one after another, two or more of them under way at a
// time, and smaller ones where memory is short.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>

#include "afp/block_grid.hpp"
#include "host/cuda/job.hpp"

namespace afp::cuda {

// Consecutive cells of a piece, whole strips of it but at its end.
struct Part {
  CellRange cells;
  std::uint64_t first_strip = 0;  // counted from the piece's first
  std::uint64_t strips = 0;
};

// Weights in a part, at the most: enough to fill a device, little enough to cut a large tensor into several.
inline constexpr std::uint64_t kMostPartWeights = std::uint64_t{1} << 25;

// Calls body(job, part) for the parts of `cells`, which are to declare what the part takes, start the job,
// run kernels, and deliver. The body may be called again for the same cells, in smaller parts, when memory is
// short; a part's results are delivered once. Throws OutOfMemory where not even a strip finds room.
template <class Body>
void for_each_part(LanePool& lanes, const BlockGrid& grid, CellRange cells, const Body& body) {
  const std::uint64_t strip = cells_per_strip(grid);
  const std::uint64_t strips = ceil_div(cells.count, strip);
  const std::uint64_t strip_weights = strip * static_cast<std::uint64_t>(grid.cell_size);
  std::uint64_t step = std::max<std::uint64_t>(1, kMostPartWeights / strip_weights);
  const CurrentDevice restored;
  bool idle_memory_released = false;
  std::deque<std::unique_ptr<Job>> under_way;
  const auto finish_first = [&] {
    const std::unique_ptr<Job> job = std::move(under_way.front());
    under_way.pop_front();
    job->finish();
  };
  for (std::uint64_t done = 0; done < strips;) {
    Part part;
    part.first_strip = done;
    part.strips = std::min(step, strips - done);
    part.cells.first = cells.first + done * strip;
    part.cells.count = std::min(part.strips * strip, cells.count - done * strip);
    // Waiting for a lane while holding one might wait for ever: others may do the same.
    std::unique_ptr<LaneLease> lane = under_way.empty() ? lanes.take() : lanes.try_take();
    if (lane == nullptr) {
      finish_first();
      continue;
    }
    try {
      auto job = std::make_unique<Job>(std::move(lane));
      body(*job, part);
      job->download();
      under_way.push_back(std::move(job));
    } catch (const OutOfMemory&) {
      if (part.strips == 1 && under_way.empty() && idle_memory_released) throw;
      while (!under_way.empty()) finish_first();
      lanes.release_idle_memory();
      idle_memory_released = true;
      step = std::max<std::uint64_t>(1, part.strips / 2);
      continue;
    }
    done += part.strips;
    if (under_way.size() > 1) finish_first();
  }
  while (!under_way.empty()) finish_first();
}

}  // namespace afp::cuda
