// A row is summed in strips of its own, from its first cell on, so that its scale does not depend on
// the rows around it. All candidates are scored together: a pass over the row for every step of their scans.
#include "host/cpu/row_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "afp/codec.hpp"
#include "afp/scale.hpp"

namespace afp::cpu {
namespace {

constexpr std::uint64_t kStripCells = kStripWeights / kSegment;

// Of ue4m3, in a pass below s0: passes are saved at the price of scales that one at a time would rule out.
constexpr int kNextScales = 4;

template <class Body>
void for_each_strip(CellRange cells, const Body& body) {
  for (std::uint64_t done = 0; done < cells.count; done += kStripCells)
    body(CellRange{cells.first + done, std::min(kStripCells, cells.count - done)});
}

// The scan of afp/scale.hpp for one candidate, both Formats of a pair side by side: first the scales from s0
// up, then a few steps down at a time, until what a step would clip costs more than the best so far.
class RowScan {
 public:
  RowScan(const TensorCodec& codec, const LongBlock& block)
      : codec_(codec), block_(block), largest_(block.absmax * exp2_int(-block.exponent)) {
    for (int i = 0; i < codec.encoding.format_count(); ++i) {
      FormatScan scan;
      scan.format = i == 0 ? codec.encoding.format : *codec.encoding.alternative;
      if (codec.encoding.scale == ScaleKind::e8m0) {
        scan.next = e8m0_first_exponent(scan.format, block.absmax) + kE8m0Bias;
        scan.lowest = min_scale_exponent(scan.format) + kE8m0Bias;
        scan.asked = 1;
      } else {
        const std::uint32_t first = ue4m3_first(scan.format, block.absmax / codec.tensor_scale);
        scan.mark = i == 0 ? 0 : static_cast<int>(kUe4m3Alternative);
        scan.next = static_cast<int>(ue4m3_scan_top(first));
        scan.lowest = 1;
        scan.asked = scan.next - static_cast<int>(first) + 1;
      }
      formats_.push_back(scan);
    }
  }

  // Adds the scales to score next; none when the scan is over.
  void ask(std::vector<SegmentScale>& scales) {
    for (FormatScan& scan : formats_) {
      scan.asked = scan.clipped > best_ ? 0 : std::min(scan.asked, scan.next - scan.lowest + 1);
      for (int i = 0; i < scan.asked; ++i) {
        const float scale = scale_of(scan, scan.next - i);
        scales.push_back({scan.format, scale, scale * scan.format.max_value() < largest_, {}});
      }
      const int after = scan.next - scan.asked;
      if (scan.asked > 0 && after >= scan.lowest)
        scales.back().limit = scale_of(scan, after) * scan.format.max_value();
    }
  }

  // Takes the scores of what was asked for from the front of `scores`.
  void take(std::span<const ScaleScore>& scores) {
    for (FormatScan& scan : formats_) {
      for (; scan.asked > 0; --scan.asked, --scan.next, scores = scores.subspan(1)) {
        const float scale = scale_of(scan, scan.next);
        const double error = scores[0].error;
        scan.clipped = scores[0].clipped;
        const auto byte = static_cast<std::uint8_t>(scan.next | scan.mark);
        // Ties go to the larger scale, then to the first Format.
        const bool wins_tie = scale > best_scale_ || (scale == best_scale_ && byte < best_byte_);
        if (error > best_ || (error == best_ && !wins_tie)) continue;
        best_ = error;
        best_scale_ = scale;
        best_byte_ = byte;
      }
      scan.asked = codec_.encoding.scale == ScaleKind::e8m0 ? 1 : kNextScales;
    }
  }

  double best() const { return best_; }
  std::uint8_t best_byte() const { return best_byte_; }

 private:
  struct FormatScan {
    Format format;
    int mark = 0;  // of the Format, in the byte
    int next = 0;  // byte, but for the mark
    int lowest = 0;
    int asked = 0;         // scales to score at once, from `next` down
    double clipped = 0.0;  // what `next` clips
  };

  float scale_of(const FormatScan& scan, int byte) const {
    return block_.normalized_scale(codec_, static_cast<std::uint8_t>(byte | scan.mark));
  }

  const TensorCodec& codec_;
  const LongBlock& block_;
  float largest_;
  std::vector<FormatScan> formats_;
  double best_ = std::numeric_limits<double>::infinity();
  float best_scale_ = 0.0f;
  std::uint8_t best_byte_ = 0;
};

// Scores what the scans ask for until none asks any more.
void run(const WeightPiece& piece, CellRange row, float normalizer, std::span<RowScan> scans) {
  std::vector<SegmentScale> scales;
  std::vector<ScaleScore> totals, strip;
  for (;;) {
    scales.clear();
    for (RowScan& scan : scans) scan.ask(scales);
    if (scales.empty()) return;
    totals.assign(scales.size(), {});
    strip.resize(scales.size());
    for_each_strip(row, [&](CellRange cells) {
      score_segments(piece, cells, normalizer, scales, strip);
      for (std::size_t i = 0; i < strip.size(); ++i) {
        totals[i].error += strip[i].error;
        totals[i].clipped += strip[i].clipped;
      }
    });
    std::span<const ScaleScore> scores = totals;
    for (RowScan& scan : scans) scan.take(scores);
  }
}

}  // namespace

void search_row(const WeightPiece& piece, CellRange row, std::span<const TensorCodec> candidates,
                std::span<std::uint8_t* const> scales, std::span<StripSums* const> sums) {
  const std::size_t width = static_cast<std::size_t>(dtype_bits(piece.dtype)) / 8;
  const std::uint64_t offset =
      piece.grid.weight_begin(row.first) - piece.grid.weight_begin(piece.cells.first);
  const Extent extent = weights_extent(piece.weights + offset * width, piece.dtype, piece.grid.columns);
  if (extent.absmax == 0.0f) {
    for (std::uint8_t* scale : scales) *scale = 0;
    return;
  }
  // Candidates are scored together where their weights are normalized alike: mostly all.
  std::map<int, std::vector<std::size_t>> alike;
  for (std::size_t c = 0; c < candidates.size(); ++c)
    alike[LongBlock(candidates[c], extent.absmax).exponent].push_back(c);
  for (const auto& [exponent, members] : alike) {
    const LongBlock block(candidates[members[0]], extent.absmax);
    std::vector<RowScan> scans;
    for (const std::size_t c : members) scans.emplace_back(candidates[c], block);
    const float normalizer = exp2_int(-exponent);
    run(piece, row, normalizer, scans);
    double signal = 0.0;
    for_each_strip(row, [&](CellRange cells) { signal += segments_signal(piece, cells, normalizer); });
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::size_t c = members[i];
      if (!scales.empty()) *scales[c] = scans[i].best_byte();
      sums[c]->error += std::ldexp(scans[i].best(), 2 * exponent);
      sums[c]->signal += std::ldexp(signal, 2 * exponent);
    }
  }
}

}  // namespace afp::cpu
