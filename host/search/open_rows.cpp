#include "host/search/open_rows.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace afp::search_detail {

void Curve::clear() {
  at_.assign(1, 0);
  value_.assign(1, 0.0);
  slope_.clear();
  piece_ = 0;
}

void Curve::add(std::int64_t bytes, double value_a_byte) {
  at_.push_back(at_.back() + bytes);
  value_.push_back(value_.back() + value_a_byte * static_cast<double>(bytes));
  slope_.push_back(value_a_byte);
}

double Curve::operator()(std::int64_t bytes, double beyond_end) const {
  while (piece_ > 0 && at_[piece_] > bytes) --piece_;
  while (piece_ < slope_.size() && at_[piece_ + 1] <= bytes) ++piece_;
  if (at_[piece_] == bytes) return value_[piece_];
  const double slope = piece_ < slope_.size() ? slope_[piece_] : beyond_end;
  return value_[piece_] + slope * static_cast<double>(bytes - at_[piece_]);
}

UndecidedRows::UndecidedRows(std::span<const OpenRow> rows) {
  std::vector<Change> side;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto& changes = rows[row].changes;
    const auto base =
        std::find_if(changes.begin(), changes.end(), [](const Change& c) { return c.bytes == 0; });
    side.assign(base, changes.end());
    add_steps(row, side, gains_);
    side.assign(std::make_reverse_iterator(base + 1), changes.rend());
    add_steps(row, side, losses_);
  }
  std::sort(gains_.begin(), gains_.end(),
            [](const Step& a, const Step& b) { return std::tie(b.slope, a.row) < std::tie(a.slope, b.row); });
  std::sort(losses_.begin(), losses_.end(),
            [](const Step& a, const Step& b) { return std::tie(a.slope, a.row) < std::tie(b.slope, b.row); });
}

// The steps of the lower hull of changes in one direction, the base first.
void UndecidedRows::add_steps(std::size_t row, std::span<const Change> from_base, std::vector<Step>& steps) {
  std::vector<Change> hull;
  // Value over bytes: it must ascend away from the base, in either direction.
  const auto rate = [](const Change& a, const Change& b) {
    const auto bytes = static_cast<double>(b.bytes - a.bytes);
    return (b.value - a.value) / (bytes < 0.0 ? -bytes : bytes);
  };
  for (const Change& change : from_base) {
    while (hull.size() >= 2 && rate(hull[hull.size() - 2], hull.back()) >= rate(hull.back(), change))
      hull.pop_back();
    hull.push_back(change);
  }
  for (std::size_t i = 1; i < hull.size(); ++i) {
    const std::int64_t bytes = hull[i].bytes - hull[i - 1].bytes;
    steps.push_back(
        {(hull[i - 1].value - hull[i].value) / static_cast<double>(bytes), bytes < 0 ? -bytes : bytes, row});
  }
}

void UndecidedRows::advance(std::size_t first, std::int64_t left, std::int64_t lacking) {
  first_ = first;
  if (first_ >= compacted_ + 32) {  // forget the steps of decided rows, not too often
    compacted_ = first_;
    const auto decided = [&](const Step& step) { return step.row < first_; };
    std::erase_if(gains_, decided);
    std::erase_if(losses_, decided);
  }
  build(gains_, -1.0, left, gain_);
  build(losses_, 1.0, lacking, loss_);
}

void UndecidedRows::build(const std::vector<Step>& steps, double sign, std::int64_t range,
                          Curve& curve) const {
  curve.clear();
  for (const Step& step : steps) {
    if (curve.end() >= range) break;
    if (step.row >= first_) curve.add(step.bytes, sign * step.slope);
  }
}

double UndecidedRows::bound(std::int64_t bytes) const {
  return bytes >= 0 ? gain_(bytes, 0.0) : loss_(-bytes, std::numeric_limits<double>::infinity());
}

}  // namespace afp::search_detail
