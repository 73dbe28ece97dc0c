#include "host/search/gaussian_process.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <span>

#include "host/search/elementary.hpp"

namespace afp::search_detail {
namespace {

constexpr double kLengths[] = {0.7, 1.4, 2.8, 5.6, 11.2};
constexpr double kSlotLengths[] = {0.7, 2.8, 11.2};
constexpr double kNoises[] = {1e-6, 1e-3, 1e-2};

}  // namespace

// Matern 5/2: smooth, but not so smooth that one odd place would bend all others.
double GaussianProcess::kernel(const Place& a, const Place& b, const Scales& scales) {
  const double x = (a.bits - b.bits) / scales.bits;
  const double y = (a.exponent_bits - b.exponent_bits) / scales.exponent_bits;
  const double z = (a.slot - b.slot) / scales.slot;
  const double square = 5.0 * (x * x + y * y + z * z);
  const double distance = std::sqrt(square);
  return (1.0 + distance + square / 3.0) * exponential(-distance);
}

// The log likelihood, less what all scales share, with mean and variance at their best.
double GaussianProcess::fit_scales(const Scales& scales, const Eigen::VectorXd& values) {
  const auto count = static_cast<Eigen::Index>(places_.size());
  Eigen::MatrixXd kernels(count, count);
  for (Eigen::Index i = 0; i < count; ++i)
    for (Eigen::Index j = 0; j <= i; ++j)
      kernels(i, j) =
          kernel(places_[static_cast<std::size_t>(i)], places_[static_cast<std::size_t>(j)], scales) +
          (i == j ? scales.noise : 0.0);
  factor_.emplace(kernels);
  scales_ = scales;
  const Eigen::VectorXd ones = Eigen::VectorXd::Ones(count);
  const Eigen::VectorXd solved_ones = factor_->solve(ones);
  mean_ = solved_ones.dot(values) / solved_ones.sum();
  const Eigen::VectorXd centred = values - mean_ * ones;
  weights_ = factor_->solve(centred);
  variance_ = std::max(centred.dot(weights_) / static_cast<double>(count), 1e-12);
  double log_determinant = 0.0;
  for (Eigen::Index i = 0; i < count; ++i) log_determinant += 2.0 * natural_log(factor_->matrixLLT()(i, i));
  return -0.5 * (static_cast<double>(count) * natural_log(variance_) + log_determinant);
}

void GaussianProcess::fit(const std::vector<Place>& places, const std::vector<double>& values,
                          bool keep_scales) {
  const bool slots = std::any_of(places.begin(), places.end(), [](const Place& p) { return p.slot > 0.0; });
  places_ = places;
  const Eigen::VectorXd observed =
      Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<Eigen::Index>(values.size()));
  Scales best = scales_;
  if (!keep_scales) {
    double best_likelihood = -std::numeric_limits<double>::infinity();
    for (const double bits : kLengths)
      for (const double exponent_bits : kLengths)
        for (const double slot : std::span(kSlotLengths).first(slots ? std::size(kSlotLengths) : 1))
          for (const double noise : kNoises) {
            const Scales scales{bits, exponent_bits, slot, noise};
            const double likelihood = fit_scales(scales, observed);
            if (!(likelihood > best_likelihood)) continue;
            best_likelihood = likelihood;
            best = scales;
          }
  }
  fit_scales(best, observed);
}

GaussianProcess::Prediction GaussianProcess::predict(const Place& place) const {
  const auto count = static_cast<Eigen::Index>(places_.size());
  Eigen::VectorXd near(count);
  for (Eigen::Index i = 0; i < count; ++i)
    near(i) = kernel(place, places_[static_cast<std::size_t>(i)], scales_);
  const double mean = mean_ + near.dot(weights_);
  factor_->matrixL().solveInPlace(near);
  return {mean, std::sqrt(variance_ * std::max(0.0, 1.0 + scales_.noise - near.squaredNorm()))};
}

}  // namespace afp::search_detail
