// The rows of a table that a relaxation leaves open, and what those not yet decided can still save or must
// still cost: their linear relaxation as a function of the bytes that are left or lacking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "host/search/hulls.hpp"

namespace afp::search_detail {

// An item seen from its row's base.
struct Change {
  std::int64_t bytes;
  double value;
  std::uint32_t item;
};

struct OpenRow {
  std::uint32_t row;
  std::vector<Change> changes;  // undominated, by ascending bytes, the base among them
  double distance;              // from the price of a byte to that of the nearest step away from the base
};

// Convex and piecewise linear in bytes from 0 on, where it is 0.
class Curve {
 public:
  void clear();
  void add(std::int64_t bytes, double value_a_byte);  // one more piece; these never descend
  std::int64_t end() const { return at_.back(); }
  // Beyond the end it goes on with the slope `beyond_end`. Nearby arguments one after another are quick.
  double operator()(std::int64_t bytes, double beyond_end) const;

 private:
  std::vector<std::int64_t> at_ = {0};
  std::vector<double> value_ = {0.0};
  std::vector<double> slope_;
  mutable std::size_t piece_ = 0;
};

// Rows are decided in their order. What the others can do is bounded by their convex hulls around the base.
class UndecidedRows {
 public:
  explicit UndecidedRows(std::span<const OpenRow> rows);

  // From now on the rows before `first` are decided, and `bytes` of bound() are in -lacking..left.
  void advance(std::size_t first, std::int64_t left, std::int64_t lacking);

  // The least that the undecided rows can add to the value when `bytes` are left, or lacking if negative.
  double bound(std::int64_t bytes) const;

 private:
  struct Step {
    double slope;  // value that a byte more saves
    std::int64_t bytes;
    std::size_t row;
  };
  static void add_steps(std::size_t row, std::span<const Change> from_base, std::vector<Step>& steps);
  void build(const std::vector<Step>& steps, double sign, std::int64_t range, Curve& curve) const;

  std::vector<Step> gains_, losses_;  // by distance from the price
  std::size_t first_ = 0, compacted_ = 0;
  Curve gain_, loss_;
};

}  // namespace afp::search_detail
