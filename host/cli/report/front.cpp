// Bodies of front.hpp.
#include "host/cli/report/front.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/cli/report/markup.hpp"

namespace afp::cli {

double quality_of(const ReportData& data, double cost, double squared_error) {
  return data.shows_sqnr() ? sqnr_db_of(data.signal, squared_error) : cost;
}

double chosen_quality(const ReportData& data) {
  return quality_of(data, data.cost, data.squared_error);
}

bool is_exact(const ReportData& data, double quality) {
  return data.shows_sqnr() ? std::isinf(quality) && quality > 0.0 : !(quality > 0.0);
}

bool is_at_least(const ReportData& data, double quality, double wanted) {
  return data.shows_sqnr() ? quality >= wanted : quality <= wanted;
}

double within_one_percent(const ReportData& data, double quality) {
  if (!std::isfinite(quality)) return quality;
  const double one = 0.01 * std::abs(quality);
  return data.shows_sqnr() ? quality - one : quality + one;
}

std::string quality_words(const ReportData& data, double quality) {
  if (is_exact(data, quality)) return "exact";
  return data.shows_sqnr() ? fixed(quality, 2) + "\u00A0dB" : significant(quality, 4);
}

std::string quality_name(const ReportData& data) {
  return data.shows_sqnr() ? "SQNR" : "divergence";
}

std::uint64_t file_bytes_with(const ReportData& data, std::uint64_t selected_bytes) {
  const std::uint64_t others = data.file_bytes - std::min(data.file_bytes, data.selected_bytes);
  return others + selected_bytes;
}

const ModelFrontPoint* smallest_reaching(const ReportData& data, double quality) {
  const auto& points = data.front.mixed;
  const auto found = std::find_if(points.begin(), points.end(), [&](const ModelFrontPoint& point) {
    return is_at_least(data, quality_of(data, point.cost, point.squared_error), quality);
  });
  return found == points.end() ? nullptr : &*found;
}

const UniformPoint* nearest_single(const ReportData& data) {
  const auto far = [&](const UniformPoint& point) {
    return std::max(point.bytes, data.selected_bytes) - std::min(point.bytes, data.selected_bytes);
  };
  const std::vector<bool> is_best = undominated(data);
  const UniformPoint* nearest = nullptr;
  for (std::size_t i = 0; i < is_best.size(); ++i) {
    const UniformPoint& point = data.front.uniform[i];
    if (is_best[i] && (nearest == nullptr || far(point) < far(*nearest))) nearest = &point;
  }
  return nearest;
}

std::string target_option(double bpw) {
  // a hair below the ceiling of what was exact in binary already
  return fmt::format("--target-bpw {:.3f}", std::ceil(bpw * 1000.0 - 1e-9) / 1000.0);
}

std::vector<bool> undominated(const ReportData& data) {
  const auto& points = data.front.uniform;
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto quality = [&](std::size_t i) {
    return quality_of(data, points[i].cost, points[i].squared_error);
  };
  const auto better = [&](double a, double b) { return a != b && is_at_least(data, a, b); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a].bytes != points[b].bytes) return points[a].bytes < points[b].bytes;
    return better(quality(a), quality(b));
  });
  std::vector<bool> is_best(points.size(), false);
  std::optional<double> best;
  for (const std::size_t i : order)
    if (!best || better(quality(i), *best)) {
      is_best[i] = true;
      best = quality(i);
    }
  return is_best;
}

}  // namespace afp::cli
